"""A headless Chromium, and the agent's page in it as an agent reads and presses it."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from greffier_desk.step import DOUBLE_S
from running_site import wait_for
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

WATCH = """
window.shown = [];
const look = () => {
  for (const line of document.querySelectorAll(".line:not([hidden])")) {
    const states = [...line.querySelectorAll("li")].map((row) => row.dataset.state);
    window.shown.push([line.dataset.light, line.querySelector(".title").textContent, ...states]);
  }
};
const everything = {subtree: true, childList: true, attributes: true, characterData: true};
new MutationObserver(look).observe(document.body, everything);
look();
"""


class AgentPage:
    """The page in one browser; what there is of it is what can be seen."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """As somebody who types the desk's address."""
        self.driver.get(url)
        wait_for("the page", lambda: self.run("return document.documentElement.lang && document.readyState"))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """What can be read there; nothing where it is not shown."""
        return " ".join(e.text for e in self.driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed())

    def sign_in(self, token: str) -> None:
        field = self.find("#token")
        field.clear()
        field.send_keys(token, Keys.ENTER)

    def press(self, button: str, extension: str | None = None) -> None:
        """Click a button, well after the press before: toggle, keep, drop, seen."""
        time.sleep(2 * DOUBLE_S)
        line = f"[data-extension='{extension}']" if extension else ".line:not([hidden])"
        self.find(f"{line} .{button}").click()

    def type(self, *keys: str) -> None:
        """On the keyboard, to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def wait(self, words: str, extension: str | None = None) -> None:
        """Until the light says so, or the failure that hides it."""
        line = f"[data-extension='{extension}']" if extension else ".line"

        def read() -> list[str]:
            return [self.text(f"{line} .title"), self.text(f"{line} .failure")]

        wait_for(f"the page to say {words}", lambda: words in read(), 60)

    def purposes(self) -> dict[str, str]:
        """What is said of each purpose."""
        rows = self.driver.find_elements(By.CSS_SELECTOR, ".line:not([hidden]) li")
        return {row.get_attribute("data-purpose"): row.text.partition("\n")[2] for row in rows}

    def watch(self) -> None:
        """Note from now on whatever is shown, however briefly."""
        self.run(WATCH)

    def shown(self) -> list[list[str]]:
        """Light, title and states of purposes, in order."""
        return self.run("return window.shown")

    def complaints(self) -> list[str]:
        """What the browser says of the page's own doing: a policy that was broken, an error in a script."""
        log = self.driver.get_log("browser")
        return [one["message"] for one in log if one["level"] == "SEVERE" and one["source"] != "network"]


@contextmanager
def agent_page(*languages: str) -> Iterator[AgentPage]:
    """A browser of its own, of somebody who reads these languages. Tests skip where there is none, but never in CI."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        if os.environ.get("GREFFIER_REQUIRE_SHARED"):
            pytest.fail("chromium and chromedriver are required here and absent")
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument("--headless=new")
    options.add_argument("--window-size=900,900")
    options.add_argument("--disable-dev-shm-usage")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.accept_insecure_certs = True  # of a desk that made its own
    options.add_experimental_option("prefs", {"intl.accept_languages": ",".join(languages or ("en",))})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(chromedriver))
    try:
        yield AgentPage(driver)
    finally:
        driver.quit()
