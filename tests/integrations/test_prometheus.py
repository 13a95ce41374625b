"""`prometheus_client`: its own resource for twisted.web answers with the figures of promises."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.twisted import MetricsResource

from tests.integrations.local import Local
from twpromise import Promise
from twpromise.metrics import PromiseCollector


class Scraped(Local):
    """A registry that is scraped over HTTP; its resource runs in the reactor's thread pool."""

    async def scrape(self, url):
        status, text = await self.get(url)
        self.assertEqual(200, status)
        return {
            (sample.name, sample.labels.get("library"), sample.labels.get("le")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def test_figures(self):
        """Those at the moment of the scrape; counters grow from one to the next."""
        library = Promise.get_new_library_copy()
        registry = CollectorRegistry(auto_describe=True)
        registry.register(PromiseCollector({"jobs": library, "service": Promise}))
        url = self.serve_web(MetricsResource(registry))
        kept = [library.defer() for _ in range(3)]
        before = await self.scrape(url)
        self.assertEqual(3, before["twpromise_pending", "jobs", None])
        kept.pop().resolve(None)
        await library.delay(5).timeout(0.001).catch(lambda error: None)
        after = await self.scrape(url)
        self.assertEqual(2, after["twpromise_pending", "jobs", None])
        self.assertEqual(1, after["twpromise_timeouts_total", "jobs", None])
        self.assertEqual(1, after["twpromise_cancellations_total", "jobs", None])
        self.assertTrue(after["twpromise_pending", "service", None] >= 0)
        count = "twpromise_drain_seconds_count", "jobs", None
        self.assertTrue(before[count] < after[count])
        self.assertEqual(after[count], after["twpromise_drain_seconds_bucket", "jobs", "+Inf"])
