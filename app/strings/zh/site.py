"""Simplified Chinese: `app.strings.site`."""

from __future__ import annotations

from app.strings.zh.page import LEAD, MENU, PLACES, TITLE

FRAME = {
    **MENU,
    **PLACES,
    "title": TITLE,
    "lead": LEAD,
    "about": "这里的一切都是录制的：页面背后没有模型在运行。要运行自己的提示词、打开自己的文件，请启动应用。",
    "no_script": "本页面用 JavaScript 绘制运行，而此浏览器已将其关闭。",
}
