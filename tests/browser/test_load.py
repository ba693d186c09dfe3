"""The board when much happens, and when nothing answers any more."""

import unittest

from site_under_test import Demo, Driver, connected, keep, sign_in


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.driver = Driver()

    @classmethod
    def tearDownClass(cls):
        cls.driver.stop()

    def visitor(self, demo):
        browser = self.driver.browser()
        self.addCleanup(browser.close)
        sign_in(browser, demo)
        connected(browser)
        return browser

    def test_thousands_of_calls_do_not_melt_the_page(self):
        demo = Demo(calls_a_minute=1200)
        self.addCleanup(demo.stop)
        browser = self.visitor(demo)
        many = "return Number(document.querySelector('#h-calls .count').textContent) > 800"
        browser.wait(many, seconds=60)
        self.assertEqual(browser.count("[data-list=calls] > *"), 200)
        hidden = int(browser.text("[data-text=hidden]"))
        self.assertGreater(hidden, 500)
        keep(browser, "board-busy")
        seen = browser.run(
            "return new Promise((done) => {"
            "  const source = new EventSource('/ui/live');"
            "  let patches = 0, bytes = 0, rows = 0;"
            "  const board = new MutationObserver((changes) => {"
            "    for (const change of changes) rows += change.addedNodes.length;"
            "  });"
            "  board.observe(document.querySelector('[data-list=calls]'), { childList: true });"
            "  source.onmessage = (event) => { patches += 1; bytes += event.data.length; };"
            "  setTimeout(() => { source.close(); done({ patches, bytes, rows }); }, 4000);"
            "})"
        )
        # Four a second and the first one.
        self.assertLessEqual(seen["patches"], 17)
        self.assertGreater(seen["patches"], 3)
        # After the first patch only what changed is sent.
        self.assertLess(seen["bytes"], 2_000_000)
        # The page follows, and puts in what changed: all 200 rows sixteen times would be 3,200.
        self.assertGreater(seen["rows"], 0)
        self.assertLess(seen["rows"], 1_600, seen)

    def test_a_lost_connection_is_seen_and_a_lost_session_asks_to_sign_in(self):
        demo = Demo()
        browser = self.visitor(demo)
        demo.stop()
        browser.wait("return document.getElementById('connection').dataset.state === 'lost'")
        self.assertIn("Reconnecting", browser.text("#connection"))
        keep(browser, "board-lost")
        # The server that comes back is a new one, which does not know the session.
        back = Demo(port=demo.port)
        self.addCleanup(back.stop)
        browser.wait("return location.pathname === '/login'", seconds=30)


if __name__ == "__main__":
    unittest.main()
