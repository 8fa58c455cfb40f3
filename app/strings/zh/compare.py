"""Simplified Chinese: `app.strings.compare`."""

from __future__ import annotations

from app.strings.zh.step import STEP

METHODS_AND_REPEATS = "方法、重复次数、接受规则"
METHODS = "方法"
METHODS_INFO = "每种方法各用自己的树。旁边的设置中，与文字有关的对所有方法相同。"
ACCEPTANCE = "接受规则"
ACCEPTANCE_INFO = "典型接受（Medusa 的规则）需要温度大于 0，写出的文字也不再是模型自己的文字。"
ACCEPTANCES = [("精确", "exact"), ("典型", "typical")]
REPEAT = "重复次数"
REPEAT_INFO = "每种方法轮流运行这么多次"
COMPARE = "对比"
RUN_BATCHES = "解码"
BATCH_TITLE = "多条同时解码"
BATCH_LEAD = "一起解码的序列共用一次前向，所以每个节点都更贵，最佳的树也更小。选择同时解码多少条，看树怎样变小。"
BATCH_PROMPTS_LABEL = "提示词，每行一条"
BATCH_PROMPTS_INFO = "批次大小为 B 时，取前 B 行。"
BATCH_SIZES = "同时解码的序列数"
BATCH_SIZES_INFO = "方法和最多词元数取自设置。"

NO_METHOD = "没有选择方法；请至少选一种。"
REPEATS = "重复次数是 {given}；它必须在 1 到 {limit} 之间。"
TOO_MUCH = (
    "这次对比可能要写 {given} 个词元，而本页面一次最多写 {limit} 个；请减少方法、重复次数或词元数。"
)
NO_SIZE = "没有选择批次大小；请至少选一个。"
ROWS = "请求的批次有 {given} 条序列；必须在 1 到 {limit} 条之间。"
FEW_PROMPTS = "给出了 {given} 条提示词；最大的批次需要 {needed} 条。请每行写一条。"
LONG_PROMPT = "有一条提示词超过 {limit} 个字符；请缩短。"
TOO_MANY_ROWS = "这些批次可能要写 {given} 个词元，而本页面一次最多写 {limit} 个；请减少批次、缩小批次或减少词元数。"

EXAMPLES = {
    "question": "问答",
    "code": "代码",
    "story": "故事",
    "summary": "摘要",
    "batches": "八个问题及更多",
}

PLAYBACK = {
    "play": "播放",
    "pause": "暂停",
    "previous": "回到上一个变化",
    "next": "到下一个变化",
    "first": "到开头",
    "last": "到结尾",
    "speed": "速度",
}

STAGES = {
    "waiting": "排队等候中",
    "loading": "等待模型：{loading}",
    "warming": "正在预热{label}，不计时",
    "running": "{label} 正在运行",
    "running_again": "{label} 正在运行，第 {repeat} 次，共 {repeats} 次",
    "examining": "{label} 写出了不同的文字：正在仔细查看第一处差异",
    "measuring": "正在测量 {rows} 条序列时树的开销",
    "batch": "{rows} 条序列正在运行",
    "elapsed": "已用 {elapsed} 秒",
    "left": "大约还需 {left} 秒（估计）",
    "done": "在这台机器上实测",
    "stopped": "已停止；已有结果保留。在这台机器上实测",
    "failed": "已中断；已有结果保留。在这台机器上实测",
    "recorded": "{date} 录制，实测于 {machine}",
    "nothing": "还没有可显示的内容。",
    "unreadable": "这次录制的对比无法读取。",
}

COMPARE_WORDS = {
    **STEP,
    **PLAYBACK,
    "stages": STAGES,
    "setup_cpu": "{model}，{dtype}，{device}，线程数：{threads}",
    "setup": "{model}，{dtype}，{device}",
    "same_for_all": "所有方法使用相同的权重、内核和随机种子；一个接一个运行，从不同时。",
    "logit_lens": "早期剪枝借用模型自己的输出头来判断（logit lens）。",
    "runs": "对比",
    "your_run": "你的对比",
    "race": "方法竞速",
    "align": "对齐方式",
    "alignments": {"clock": "时间", "step": "步", "token": "词元"},
    "align_hints": {
        "clock": "同时出发。到现在谁写得更多？（条越长越好）",
        "step": "前向次数相同。谁写得更多？（条越长越好）",
        "token": "写到文字的同一处。谁用的前向更少？（条越短越好）",
    },
    "positions": {
        "clock": "{at} 秒 / {end} 秒",
        "step": "第 {at} 次前向，共 {end} 次",
        "token": "第 {at} 个词元，共 {end} 个",
    },
    "scrub": "竞速中的位置",
    "standing": "{tokens} 个词元 · {passes} 次前向 · {seconds} 秒",
    "standing_empty": "尚未开始",
    "show_large": "显示 {label} 的树",
    "large_hint": "点击一种方法，显示或隐藏它的树。",
    "so_far": "目前 {speed} 词元/秒",
    "speed_told": "{speed} 词元/秒",
    "nodes_now": "{nodes} 个节点",
    "not_yet": "还没有写出任何内容。",
    "waiting_lane": "等待轮到它。",
    "results": "结果",
    "columns": {
        "method": "方法",
        "speed": "词元/秒",
        "speed_up": "加速比",
        "passes": "词元/前向",
        "size": "树的平均大小",
        "verified": "每词元验证数",
        "pruned": "剪除比例",
        "times": "每个词元各阶段耗时，毫秒",
        "text": "文字",
    },
    "column_titles": {
        "method": "",
        "speed": "实测，含预填充；取各次重复的中位数，下方为最小到最大",
        "speed_up": "实测，逐次重复比较；中位数，下方为最小到最大",
        "passes": "实测：平均接受长度",
        "size": "每步起草的节点数，不计根",
        "verified": "每写出一个词元，走完所有层的起草节点数",
        "pruned": "被早期剪枝去掉的起草节点",
        "times": "实测。各条使用同一比例，条越短，写一个词元越快。",
        "text": "与 {reference} 对照",
    },
    "range": "{low} 到 {high}",
    "speed_up_of": "×{value}",
    "against_plain": "加速比以普通解码（自回归）为基准。",
    "against_slowest": "没有运行普通解码：加速比以最慢的 {label} 为基准。",
    "repeats_one": "每种方法只运行一次：没有重复，就无从知道波动有多大。",
    "repeats_many": "每种方法轮流运行 {repeats} 次；竞速和其他各列显示各方法速度居中的那次运行。",
    "prefill": "预填充",
    "none": "–",
    "baseline": "基准",
    "reference": "对照文字",
    "identical": "文字完全相同",
    "differs": "从第 {position} 个词元起不同",
    "not_compared": "尚未比较",
    "difference": "{label}：前 {position} 个词元与 {reference} 的文字相同。此处 {label} 写了“{other}”，{reference} 写了“{own}”。",
    "reasons": {
        "near_tie": "近乎平局：模型给两者的分数只差 {gap}，而仅仅改变求和顺序就会让那里的分数变动 {noise}。",
        "no_tie": "不是平局：模型给两者的分数相差 {gap}，而改变求和顺序只会让那里的分数变动 {noise}。这不应该发生；请报告。",
        "drawn": "有温度时，词元是随机抽取的。所有方法用同样的随机数，所以落在两个词元交界处的抽取会因舍入而改变。",
        "typical": "典型接受会保留任何概率足够高的词元，所以这段文字不是模型自己的：这就是它的代价。",
        "ended": "其中一段文字到此结束。",
        "unknown": "文字太长，无法在这里仔细查看，因此原因不明。",
    },
    "headline": "{label} 最快：{speed} 词元/秒，是{baseline}的 {ratio} 倍。",
    "headline_plain": "这里 {label} 最快：{speed} 词元/秒。用树并不划算。",
    "headline_slower": "比{baseline}慢：{labels}。",
    "plain": "普通解码",
    "headline_same": "所有文字完全相同。",
    "headline_differs": "并非所有文字都相同；见表格下方。",
    "keys": "快捷键：空格播放，← → 上一个或下一个变化，Home、End。",
}

BATCH_WORDS = {
    **STEP,
    **PLAYBACK,
    "stages": STAGES,
    "setup_cpu": COMPARE_WORDS["setup_cpu"],
    "setup": COMPARE_WORDS["setup"],
    "batch_title": BATCH_TITLE,
    "batch_lead": BATCH_LEAD,
    "runs": "批次",
    "your_run": "你的批次",
    "rows_together": "同时解码的序列",
    "scrub": "前向",
    "pass_of": "第 {at} 次前向，共 {end} 次",
    "forest": "第 {at} 次前向中 {rows} 条序列的词元树：平均每条 {mean} 个节点。",
    "row_name": "序列 {row}，节点：{nodes}",
    "row_ended": "序列 {row}，已结束",
    "mean_now": "这次前向平均每条序列 {mean} 个节点，{ms} 毫秒",
    "rows_texts": "各序列的文字",
    "plot_size": "每条序列的树平均大小",
    "plot_speed": "词元/秒，所有序列合计",
    "plot_axis": "同时解码的序列数",
    "plot_hover": "B = {rows}：{value}（实测）",
    "batch_columns": [
        "序列数",
        "每条序列的树平均大小",
        "每条序列的词元/前向",
        "词元/秒",
        "前向次数",
    ],
    "batch_note": "只统计所有序列都在运行的前向，不含预填充。序列写完后会继续写，使批次大小保持不变。",
    "batch_table": "用表格看这些图",
    "none": COMPARE_WORDS["none"],
    "keys": "快捷键：空格播放，← → 前向，Home、End。",
}
