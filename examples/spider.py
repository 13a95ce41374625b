"""A spider of scrapy that awaits promises in its callbacks and in its pipeline.

Run it: ``python spider.py``.  It crawls a small site that it serves itself, and prints what
it has found.
"""

import sqlite3

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.exceptions import DropItem
from twisted.web.resource import Resource
from twisted.web.server import Site

from twpromise import Promise, batch

PAGES = {"/": ["/emma", "/persuasion", "/draft"], "/emma": ["/"], "/persuasion": ["/emma"]}


class Books(Resource):
    """The site: each page has links, and is named by its path."""

    isLeaf = True

    def render_GET(self, request):
        links = PAGES.get(request.path.decode(), [])
        return "".join(f'<a href="{link}">{link}</a>' for link in links).encode() or b"<p>empty</p>"


async def load_prices(names):
    """One request to another service, for many books."""
    await Promise.delay(0.1)
    print("asked for the prices of", len(names))
    return [len(name) for name in names]


class Spider(scrapy.Spider):
    name = "books"
    price_of = staticmethod(batch(load_prices, wait=0.5))

    async def start(self):
        from twisted.internet import reactor

        self.port = reactor.listenTCP(0, Site(Books()), interface="127.0.0.1")
        yield scrapy.Request(f"http://127.0.0.1:{self.port.getHost().port}/")

    async def parse(self, response):
        name = response.url.rpartition("/")[2]
        for link in response.css("a"):
            yield response.follow(link)
        if name:
            price = await self.price_of(name).timeout(5)
            yield {"name": name, "price": price, "links": len(response.css("a"))}


class Pipeline:
    """Stores items in a database, in a thread."""

    def open_spider(self):
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute("CREATE TABLE book (name TEXT, price INTEGER)")

    async def process_item(self, item):
        if not item["links"]:
            raise DropItem(f"{item['name']} is empty")
        insert = "INSERT INTO book VALUES (:name, :price)"
        await Promise.in_thread(self._database.execute, insert, item)
        return item

    async def close_spider(self):
        select = "SELECT name, price FROM book ORDER BY name"
        print(await Promise.in_thread(lambda: self._database.execute(select).fetchall()))
        self._database.close()


if __name__ == "__main__":
    process = CrawlerProcess(
        {"ITEM_PIPELINES": {Pipeline: 1}, "LOG_LEVEL": "ERROR", "TELNETCONSOLE_ENABLED": False}
    )
    process.crawl(Spider)
    process.start()
