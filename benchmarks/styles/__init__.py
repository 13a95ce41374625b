"""The same requests, as one writes them with each way of waiting: one way a module.

`doxbee` is the upload that Gorki Kosev used to compare ways of asynchronous programming, which is
why bluebird's benchmark has its name: within a transaction, put a blob, look for the file, insert
a version of it, make and run the query that inserts the file if there was none, insert what binds
the two, update the file, commit; roll back if anything fails.  `parallel` inserts 25 things at
once, and commits.

Each module has

    adapt(database)              what makes a query, in this way of waiting
    doxbee(query, score)         what starts one request, given its transaction
    parallel(query, score)
"""
