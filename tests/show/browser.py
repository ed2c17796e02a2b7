"""A headless Chromium, driven over a pipe by the DevTools protocol; the standard library alone."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
from contextlib import contextmanager

BROWSER = shutil.which(os.environ.get("CHROMIUM", "chromium"))
PATIENCE = 60
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-extensions")


class Page:
    """One page: opened, clicked, typed into, printed, photographed."""

    def __init__(self, source, sink):
        self.source, self.sink, self.number, self.session = source, sink, 0, None
        self.heard, self.loaded = b"", set()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method, **params):
        """Return what the browser answers."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.sink.write(json.dumps(message).encode() + b"\0")
        self.sink.flush()
        while (found := self._message()).get("id") != self.number:
            pass
        assert "error" not in found, found
        return found["result"]

    def _message(self):
        """Return the next answer or event; remember which documents have been loaded."""
        while b"\0" not in self.heard:
            ready, _, _ = select.select([self.source], [], [], PATIENCE)
            assert ready, f"the browser said nothing for {PATIENCE} seconds"
            part = self.source.read(1 << 16)
            assert part, "the browser went away"
            self.heard += part
        text, _, self.heard = self.heard.partition(b"\0")
        found = json.loads(text)
        if found.get("method") == "Page.lifecycleEvent" and found["params"]["name"] == "load":
            self.loaded.add(found["params"]["loaderId"])
        return found

    def open(self, path, *, width=1200, height=800, media=""):
        """Open a file; ``media`` is what the reader prefers: light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": media}] if media else []
        self.call("Emulation.setEmulatedMedia", features=features)
        document = self.call("Page.navigate", url=path.as_uri())["loaderId"]
        while document not in self.loaded:
            self._message()

    def ask(self, script):
        """Return the value of an expression of JavaScript."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def click(self, selector, at=0):
        """Press and release the mouse in the middle of an element."""
        x, y = self.ask(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{at}];"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text):
        """Type into what was clicked, in place of what stands there."""
        self.ask("document.activeElement.select()")
        self.call("Input.insertText", text=text)

    def screenshot(self):
        """Return the visible part as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def pdf(self):
        """Return the page as it would be printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])


@contextmanager
def browser(profile):
    """Yield a page of a browser of our own; it ends with the block."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    # the protocol speaks on descriptors 3 and 4; far above them, neither hides the other
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
    wired = f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}'
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        ["bash", "-c", wired, "bash", *command], pass_fds=ends, stderr=subprocess.DEVNULL
    )
    for end in (theirs_in, theirs_out, *ends):
        os.close(end)
    try:
        with open(ours_in, "rb", buffering=0) as source, open(ours_out, "wb") as sink:
            yield Page(source, sink)
    finally:
        process.terminate()
        process.wait(20)
