"""A spider whose parts return promises: see `test_scrapy`."""

from __future__ import annotations

import sys

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.exceptions import DropItem, IgnoreRequest

import twpromise
from twpromise import Promise

server, reactor, install = sys.argv[1:]
if install == "installed":
    twpromise.install()


def later(function, *arguments):
    return Promise.delay(0.001).then(lambda _: function(*arguments))


class Middleware:
    """Decides later which requests are sent, with the same promise for those that are."""

    def __init__(self):
        self.allowed = Promise.delay(0.05)

    def process_request(self, request):
        return later(self.forbid) if request.url.endswith("/forbidden") else self.allowed

    def forbid(self):
        raise IgnoreRequest("forbidden")


class Pipeline:
    """Stores items later."""

    def open_spider(self):
        self.opened = later(list)
        return self.opened

    def process_item(self, item):
        return self.opened.then(lambda items: self.store(items, item))

    def store(self, items, item):
        if item["page"] == "two":
            raise DropItem("not that one")
        items.append(item["page"])
        return item

    def close_spider(self):
        return later(lambda: print("stored:", *sorted(self.opened.value())))


class Spider(scrapy.Spider):
    """Three pages of one server; one is forbidden, the item of another one is dropped."""

    name = "pages"

    async def start(self):
        for path in await Promise.delay(0.001, ["one", "two", "three", "forbidden"]):
            yield scrapy.Request(server + path)

    async def parse(self, response):
        yield {"page": await Promise.delay(0.001, response.text)}


settings = {
    "DOWNLOADER_MIDDLEWARES": {Middleware: 1},
    "ITEM_PIPELINES": {Pipeline: 1},
    "LOG_LEVEL": "ERROR",
    "TELNETCONSOLE_ENABLED": False,
    "TWISTED_REACTOR": f"twisted.internet.{reactor}",
}
process = CrawlerProcess(settings)
process.crawl(Spider)
process.start()
