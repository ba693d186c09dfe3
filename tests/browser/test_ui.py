"""The pages as an operator uses them."""

import unittest

from site_under_test import Demo, Driver, connected, keep, sign_in

KEYS = "return [...document.querySelectorAll('[data-list=calls] > *')].map((r) => r.dataset.key)"


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.driver = Driver()

    @classmethod
    def tearDownClass(cls):
        cls.driver.stop()
        cls.demo.stop()

    def visitor(self, name="admin", **options):
        browser = self.driver.browser(**options)
        self.addCleanup(browser.close)
        sign_in(browser, self.demo, name)
        return browser

    def open(self, browser, path):
        browser.open(self.demo.url + path)

    def test_a_wrong_password_is_told_and_the_right_one_leads_on(self):
        browser = self.driver.browser()
        self.addCleanup(browser.close)
        self.open(browser, "/cdrs?result=busy")
        self.assertIn("/login", browser.url())
        browser.type("input[name=name]", "admin")
        browser.type("input[name=password]", "guess")
        browser.click("button.primary")
        browser.wait("return document.querySelector('[role=alert]')")
        self.assertEqual(browser.text("[role=alert]"), "Wrong user name or password.")
        browser.type("input[name=password]", self.demo.passwords["admin"])
        browser.click("button.primary")
        browser.arrive("/cdrs?result=busy")

    def test_the_board_follows_the_calls_without_reloading(self):
        browser = self.visitor()
        connected(browser)
        browser.run("window.mark = true")
        before = browser.run(KEYS)
        ticking = "return document.querySelector('.call .dur').textContent"
        first = browser.run(ticking)
        browser.wait(f"return (() => {{ {ticking} }})() !== arguments[0]", first, seconds=5)
        browser.wait(
            "const old = new Set(arguments[0]);"
            "return [...document.querySelectorAll('[data-list=calls] > *')]"
            ".some((row) => !old.has(row.dataset.key))",
            before,
            seconds=20,
        )
        self.assertTrue(browser.run("return window.mark"))
        rows = browser.count("[data-list=calls] > *")
        self.assertEqual(browser.text("#h-calls .count"), str(rows))
        self.assertEqual(browser.count("[data-list=trunks] .cells"), 2)
        keep(browser, "board")
        self.assertEqual(browser.complaints(), [])

    def test_hanging_up_asks_first_and_ends_the_call(self):
        browser = self.visitor()
        connected(browser)
        # The oldest talking call would be about to end by itself; take the newest.
        row = "[data-list=calls] > .talking"
        key = browser.run("return document.querySelector(arguments[0]).dataset.key", row)
        button = f"[data-key='{key}'] [data-hang-up]"
        number = browser.text(f"[data-key='{key}'] .called .num")
        browser.click(button)
        self.assertIn(number, browser.text("#hang-up .what"))
        keep(browser, "hang-up")
        browser.click("#hang-up button[value=cancel]")
        self.assertFalse(browser.run("return document.getElementById('hang-up').open"))
        self.assertIn(key, browser.run(KEYS))
        browser.click(button)
        browser.click("#hang-up button.danger")
        browser.wait(f"return !(() => {{ {KEYS} }})().includes(arguments[0])", key)
        browser.wait("return !document.getElementById('hang-up').open")
        browser.wait(
            "return !!document.querySelector(`[data-list=ended] [data-key='${arguments[0]}']`)", key
        )

    def test_the_keyboard_alone_can_hang_up_and_change_its_mind(self):
        browser = self.visitor()
        connected(browser)
        browser.run("document.querySelector('.talking [data-hang-up]').focus()")
        browser.press("Space")
        browser.wait("return document.getElementById('hang-up').open")
        browser.press("Escape")
        self.assertFalse(browser.run("return document.getElementById('hang-up').open"))
        self.assertTrue(browser.run("return document.activeElement.matches('[data-hang-up]')"))
        self.open(browser, "/cdrs")
        browser.press("Tab")
        self.assertTrue(browser.run("return document.activeElement.matches('.skip')"))

    def test_the_language_changes_where_one_is_and_stays(self):
        browser = self.visitor()
        self.open(browser, "/cdrs?result=busy")
        browser.click("#language")
        browser.wait("return document.documentElement.lang === 'ja'")
        browser.arrive("/cdrs?result=busy")
        self.assertEqual(browser.text("h1"), "通話記録")
        self.open(browser, "/")
        self.assertEqual(browser.text("h1"), "ライブ")
        connected(browser)
        keep(browser, "board-ja")
        browser.click("#language")
        browser.wait("return document.querySelector('h1').textContent === 'Live board'")

    def test_a_japanese_browser_gets_japanese(self):
        browser = self.driver.browser(language="ja")
        self.addCleanup(browser.close)
        self.open(browser, "/login")
        self.assertEqual(browser.text("h1"), "サインイン")

    def test_records_are_searched_paged_opened_and_downloaded(self):
        browser = self.visitor()
        self.open(browser, "/cdrs")
        self.assertEqual(browser.count(".records tbody tr"), 50)
        first = browser.text(".records tbody a")
        browser.click("a[rel=next]")
        browser.wait("return location.search.includes('after=')")
        self.assertLess(browser.text(".records tbody a"), first)

        self.open(browser, "/cdrs")
        browser.type("input[name=q]", "03-1200-1001")
        browser.run("document.querySelector('select[name=result]').value = 'answered'")
        browser.click(".filter button")
        browser.wait("return location.search.includes('result=answered')")
        found = browser.run(
            "return [...document.querySelectorAll('.records tbody tr')].map((row) =>"
            " [row.cells[2].querySelector('.num').textContent, row.cells[4].textContent])"
        )
        self.assertTrue(found)
        self.assertEqual({tuple(row) for row in found}, {("03-1200-1001", "Answered")})
        keep(browser, "records")

        csv = browser.run(
            "return fetch(document.querySelector('a[download]').href).then(async (answer) =>"
            " ({ type: answer.headers.get('content-type'),"
            "    bytes: [...new Uint8Array(await answer.arrayBuffer()).slice(0, 3)],"
            "    status: answer.status }))"
        )
        self.assertEqual(csv["status"], 200)
        self.assertIn("text/csv", csv["type"])
        self.assertEqual(csv["bytes"], [0xEF, 0xBB, 0xBF])

        browser.click(".records tbody a")
        browser.wait("return document.querySelector('.gantt')")
        self.assertEqual(browser.text(".head .badge"), "Answered")
        self.assertGreaterEqual(browser.count(".lane-bar .talk"), 2)
        self.assertEqual(browser.count(".flow"), 2)
        keep(browser, "record")
        self.assertEqual(browser.complaints(), [])

    def test_a_search_that_cannot_be_read_says_so(self):
        browser = self.visitor()
        self.open(browser, "/cdrs?did=sales&from=yesterday")
        alerts = browser.run(
            "return [...document.querySelectorAll('[role=alert]')].map((a) => a.textContent)"
        )
        self.assertEqual(len(alerts), 2)
        self.assertEqual(browser.count(".records tbody tr"), 0)

    def test_the_route_check_shows_who_would_ring(self):
        browser = self.visitor()
        self.open(browser, "/route")
        browser.type("input[name=from]", "090-0123-4567")
        browser.type("input[name=to]", "03-1200-1000")
        browser.click(".filter button")
        browser.wait("return document.querySelector('#preview')")
        self.assertEqual(browser.count("#preview .lane-bar .ring"), 3)
        self.assertIn("INVITE sip:", browser.text(".headers"))
        keep(browser, "route-check")
        browser.type("input[name=to]", "nobody")
        browser.click(".filter button")
        browser.wait("return document.querySelector('[role=alert]')")
        self.assertEqual(browser.text("[role=alert]"), "The called number is not a telephone number.")

    def test_a_customer_sees_nothing_of_the_operators(self):
        browser = self.visitor("sakura")
        connected(browser)
        self.assertEqual(browser.count("[data-list=trunks]"), 0)
        self.assertEqual(browser.count("[data-hang-up]"), 0)
        self.open(browser, "/cdrs")
        names = browser.run(
            "return [...new Set([...document.querySelectorAll('.records tbody tr')]"
            ".map((row) => row.cells[2].querySelector('small').textContent))]"
        )
        self.assertEqual(names, ["さくら法律事務所"])
        self.open(browser, "/trunks")
        self.assertEqual(browser.text("h1"), "Not allowed")

    def test_signing_out_closes_the_door(self):
        browser = self.visitor()
        browser.click("#sign-out")
        browser.arrive("/login")
        self.open(browser, "/cdrs")
        self.assertIn("/login", browser.url())


if __name__ == "__main__":
    unittest.main()
