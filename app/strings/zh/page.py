"""Simplified Chinese: `app.strings.page`."""

from __future__ import annotations

TITLE = "ProPD Studio"
LEAD = "看语言模型怎样在一次前向里写出好几个词：它起草一棵猜测之树，早早剪掉不太可能的分支，只保留自己认同的那一支。"
PLACES = {
    "watch": "观看",
    "compare": "对比",
    "learn": "学习",
    "lab": "实验室",
    "runs": "运行记录",
}
MENU = {"language": "语言"}
ERROR = "没有成功"
SETTINGS = "设置"
METHOD = "方法"
MAX_TOKENS = "最多词元数"

TEMPERATURE = "温度"
TEMPERATURE_INFO = "0 总是取最可能的词元；大于 0 则按概率抽取。"
TOP_P = "Top-p"
TOP_P_INFO = "只从概率合计达到这个值的最可能词元中抽取。"
SEED = "随机种子"
PRUNE_RULE = "剪枝规则"
PRUNE_RULE_INFO = "早期头依据什么来判断。"
PRUNE_RULES = [("Top-k（论文）", "topk"), ("阈值", "threshold"), ("预算", "budget")]
PRUNE_TOP_K = "top-k 的 k"
PRUNE_TOP_K_INFO = "0：采用适合这些头的值。"
PRUNE_WHEN = "何时剪枝"
PRUNE_WHEN_INFO = "只有一段文字又用处理器运行时，剪枝很少划算；这里是为了让人看见它。"
PRUNE_WHENS = [
    ("每一步", "always"),
    ("划算时", "pays"),
    ("由方法决定", "auto"),
]
GUESSES = "由谁猜测"
GUESSES_INFO = "草稿头，或前文中同样的词之后出现过的内容。"
GUESSES_BY = [
    ("由方法决定", "auto"),
    ("草稿头", "heads"),
    ("前文", "text"),
    ("两者", "both"),
]
TREE_SIZE = "树的大小"
TREE_SIZE_INFO = "0：每一步自动选择。"
NOT_PRUNING = "这种方法不剪枝。"
NOT_DYNAMIC = "这种方法每一步起草同一棵树。"
MORE = "更多设置"
MORE_TEXT = "**文字**"
MORE_TREES = "**树。** 它们只影响速度，绝不影响文字。"
TOO_MANY = "本页面最多写 {limit} 个词元，而请求了 {given} 个；请减少。"
NO_NUMBER = "“{name}”的值是 {given}；它必须是数字。"
NO_WHOLE_NUMBER = "“{name}”的值是 {given}；它必须是整数。"

LOADING = "正在加载 {model}：{stage}（{seconds} 秒{before}）。录制的运行已可播放。"
LOADING_BEFORE = "；上次用了 {seconds} 秒"
LOADING_FIRST = "启动中"
MEASURING = "正在测量树在这台机器上的开销"
READY = "{model} 已就绪：{numbers}，{device}。"
READY_THREADS = "{model} 已就绪：{numbers}，{device}，线程数：{threads}。"
NO_MODEL = "无法实时运行：{reason}录制的运行仍可播放。"
UNEXPECTED = "程序中出现了意外问题；详情见服务器日志。"
