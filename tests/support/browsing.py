"""Headless Chromium, and what it makes of a page in windows of several sizes and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
# Every element that is shown and reaches over the right edge, unless something that scrolls by
# itself holds it.
TOO_WIDE = """
const scrolls = e => e && (getComputedStyle(e).overflowX === 'auto' || scrolls(e.parentElement));
const edge = document.documentElement.clientWidth + 1;
return [...document.querySelectorAll('body *')]
  .filter(e => e.getClientRects().length && !e.closest('svg *'))
  .filter(e => e.getBoundingClientRect().right > edge && !scrolls(e.parentElement))
  .map(e => `${e.tagName} ${e.className}: ${e.getBoundingClientRect().right}`);
"""


@contextmanager
def chromium(width: int, height: int) -> Iterator[Any]:
    """A driver; the test is skipped where there is no browser."""
    pytest.importorskip("selenium", reason="needs selenium: pip install 'gapfc[browser]'")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    control = shutil.which("chromedriver")
    if not browser or not control:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*OPTIONS, f"--window-size={width},{height}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(control))
    try:
        yield driver
    finally:
        driver.quit()


def show(driver: Any, page: Path, width: int, media: str = "screen") -> None:
    """Load `page` in a window of `width` pixels; media "print": as it is laid out on paper."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
    driver.get(page.as_uri())


def too_wide(driver: Any) -> list[str]:
    """What reaches over the right edge of the window."""
    found: list[str] = driver.execute_script(TOO_WIDE)
    return found
