"""Simplified Chinese: `app.strings.replay`."""

from __future__ import annotations

from app.strings.replay import UNSAID
from app.strings.zh.page import MENU, TITLE
from app.strings.zh.watch import WATCH

WORDS = {key: said for key, said in WATCH.items() if key not in UNSAID}
FRAME = {
    **MENU,
    "title": TITLE,
    "about": "一次录制的运行，一步一步看：起草了什么，早期剪除了什么，保留了什么。",
    "run": "这次运行",
    "no_script": "本页面用 JavaScript 绘制运行，而此浏览器已将其关闭。",
}
