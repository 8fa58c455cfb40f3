"""Simplified Chinese: `app.strings.watch`."""

from __future__ import annotations

from app.strings.zh.share import SHARE
from app.strings.zh.step import STEP

PROMPT = "提示词"
PROMPT_HINT = "问点什么，或给一段文字让它续写"
GENERATE = "生成"
STOP = "停止"
NO_BRANCH = "页面请求分支的方式无法识别；请重新加载页面。"
OTHER_MODEL = "这次运行由 {given} 生成，而这里加载的是 {model}：两者的词元互不相通。请先在这里生成文字，再试一次。"

EXAMPLES = {
    "question": "问答",
    "code": "代码",
    "story": "故事",
    "summary": "摘要",
}

WATCH = {
    **STEP,
    **SHARE,
    "player": "运行播放器",
    "runs": "可观看的运行",
    "your_run": "你的运行 {count}",
    "recorded": "{date} 录制于 {machine}",
    "opened": "从文件打开",
    "unknown_run": "链接所指的运行只存在于生成它的那个页面的内存里；请向对方索取文件，并在“运行记录”中打开。",
    "logit_lens": "早期剪枝借用模型自己的输出头来判断（logit lens）。",
    "live_waiting": "排队等候中（{seconds} 秒）",
    "live_loading": "等待模型：{stage}",
    "live_running": "实时",
    "live_progress": "实时：{seconds} 秒内写了 {tokens} / {limit} 个词元，最多还需 {left} 秒",
    "live_done": "实时运行，已完成",
    "live_stopped": "实时运行，已停止；写出的内容保留",
    "live_failed": "实时运行，已中断；写出的内容保留",
    "prompt": "提示词",
    "text_hint": "点击一个词，看写出它的那一步。",
    "nothing_yet": "还没有可显示的内容。",
    "trace_failed": "这次运行无法读取；请另选一个，或重新加载页面。",
    "playback": "播放",
    "play": "播放",
    "pause": "暂停",
    "previous": "上一步",
    "next": "下一步",
    "first": "第一步",
    "last": "最后一步",
    "speed": "速度",
    "as_it_ran": "原速",
    "scrub": "步",
    "jump_to_live": "跳到实时",
    "keys": "快捷键",
    "close": "关闭",
    "key_list": [
        ["空格", "播放与暂停"],
        ["← →", "上一步、下一步"],
        ["Shift+← Shift+→", "上一阶段、下一阶段"],
        ["Home End", "第一步、最后一步"],
        ["Tab", "进入树，然后"],
        ["↑ ↓", "在节点间移动"],
        ["Enter", "固定一个节点；再按一次松开"],
        ["Esc", "松开"],
        ["?", "显示这些快捷键"],
    ],
    "timeline": "运行总览",
    "timeline_size": "树的大小，以及其中验证的部分（最多 {top}）",
    "timeline_tokens": "一步新增的词元（最多 {top}）",
    "timeline_ms": "各阶段毫秒数（最多 {top}）",
    "timeline_hint": "点击或拖动即可跳到某一步。",
    "timeline_step": "第 {step} 步：起草 {drafted} 个，验证 {verified} 个，新增 {tokens} 个，{ms} 毫秒",
    "timeline_prefill": "预填充：{tokens} 个词元，{ms} 毫秒",
    "what_if": "如果选的是“{text}”会怎样？从这里继续",
    "what_if_hint": "点击该节点，看看如果选了它会怎样。",
    "what_if_busy": "另一次运行正在进行；请等它结束或将其停止。",
    "what_if_run": "如果第 {step} 步选的是“{text}”",
}
