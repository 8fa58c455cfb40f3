"""Simplified Chinese: `app.strings.share`."""

from __future__ import annotations

SHARE = {
    "copy_link": "复制链接",
    "copied": "已复制",
    "save_run": "保存运行",
    "save_run_title": "保存这次运行，或发给别人",
    "tree_picture": "树",
    "picture": "保存图片",
    "picture_title": "把这张图保存为 PNG 或 SVG",
}

NO_STEP = "没有第 {given} 步；这次运行只有第 0 到 {last} 步。请从中选择。"
NO_FORM = "运行不能保存为 {given}；请选择以下之一：{forms}。"
NOT_TEXT = "只能用文件的文本内容来调用。"
OPEN_IT_IN = "这个文件是给页面用的；页面可以打开 `python -m propd` 产生的文件。"
