"""What holds on every page: it fits, can be read, has names for everything, and opens fast."""

import unittest

from site_under_test import Demo, Driver, connected, keep, sign_in

PAGES = [
    "/",
    "/cdrs",
    "/cdrs?result=answered",
    "/route?from=09001234567&to=0312001000",
    "/dids",
    "/customers",
    "/groups",
    "/extensions",
    "/trunks",
    "/nowhere",
]

# WCAG 2.2: 1.4.3 contrast of every text with the ground it stands on.
PALE = """
const channel = (value) => {
  const share = value / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
};
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parts = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
function ground(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = parts(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
}
const pale = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const shown = element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  if (!walker.currentNode.textContent.trim() || !shown || element.closest('.skip, .hidden')) continue;
  const style = getComputedStyle(element);
  const [one, other] = [light(parts(style.color)), light(ground(element))];
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const large = parseFloat(style.fontSize) >= 24;
  if (contrast < (large ? 3 : 4.5)) {
    pale.push(`${contrast.toFixed(2)} ${walker.currentNode.textContent.trim().slice(0, 30)}`);
  }
}
return pale;
"""

# WCAG 4.1.2 and 2.4.6: names of controls, one heading, a language, no id twice.
NAMELESS = """
const named = (element) => element.labels?.length || element.getAttribute('aria-label')
  || element.textContent.trim() || element.type === 'hidden';
const found = [...document.querySelectorAll('a, button, input, select, summary')]
  .filter((element) => !named(element)).map((element) => element.outerHTML.slice(0, 80));
if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
if (!document.documentElement.lang) found.push('no language');
const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
if (new Set(ids).size !== ids.length) found.push('an id twice');
return found;
"""

# Parts that stick out of the window, or of their card where nothing scrolls.
WIDER = """
const out = [];
const window_ = document.documentElement;
if (window_.scrollWidth > window_.clientWidth) out.push('the page');
for (const card of document.querySelectorAll('.card')) {
  const edge = card.getBoundingClientRect().right + 1;
  for (const part of card.querySelectorAll('*')) {
    if (part.closest('.scroll, .hidden, .headers, svg')) continue;
    if (part.getBoundingClientRect().right > edge) out.push(part.outerHTML.slice(0, 80));
  }
}
return out;
"""


class Look(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.driver = Driver()
        cls.browser = cls.driver.browser()
        cls.browser.open(cls.demo.url + "/login")
        cls.sign_in_pale = {}
        for scheme in ("light", "dark"):
            cls.browser.scheme(scheme)
            cls.sign_in_pale[scheme] = cls.browser.run(PALE)
        sign_in(cls.browser, cls.demo)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.driver.stop()
        cls.demo.stop()

    def pages(self):
        """Opens every page in turn."""
        for path in PAGES:
            self.browser.open(self.demo.url + path)
            if path == "/":
                connected(self.browser)
            yield path

    def test_every_text_can_be_read_in_light_and_dark(self):
        self.assertEqual(self.sign_in_pale, {"light": [], "dark": []})
        for scheme in ("light", "dark"):
            self.browser.scheme(scheme)
            for path in self.pages():
                self.assertEqual(self.browser.run(PALE), [], f"{path} {scheme}")

    def test_everything_has_a_name(self):
        for path in self.pages():
            self.assertEqual(self.browser.run(NAMELESS), [], path)

    def test_nothing_is_wider_than_a_phone_or_a_wall(self):
        for width, height in ((360, 780), (768, 1024), (1400, 850), (1920, 1080), (3840, 2160)):
            self.browser.size(width, height)
            for path in self.pages():
                self.assertEqual(self.browser.run(WIDER), [], f"{path} at {width}")
                keep(self.browser, f"{width}{path.split('?')[0].replace('/', '-')}")
        self.browser.size(1400, 850)

    def test_every_page_opens_in_well_under_a_second(self):
        opened = (
            "const [entry] = performance.getEntriesByType('navigation');"
            "return entry.domContentLoadedEventEnd"
        )
        for path in self.pages():
            # The machine may be busy with something else: the page must manage it once.
            times = [self.browser.run(opened)]
            while times[-1] >= 800 and len(times) < 8:
                self.browser.open(self.demo.url + path)
                times.append(self.browser.run(opened))
            self.assertLess(min(times), 800, path)


if __name__ == "__main__":
    unittest.main()
