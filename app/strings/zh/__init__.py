"""Simplified Chinese, with the same names and keys as the English tables one folder up.

Terms, so that every place uses the same ones:

token 词元, pass 前向, step 步, prompt 提示词, prefill 预填充, root 根, node 节点, depth 深度, rank 名次,
head 头, draft head 草稿头, early head 早期头, token tree 词元树, tree attention 树注意力, mask 掩码,
drafted 起草, pruned 剪除, rejected 拒绝, accepted 接受, bonus 奖励词元, verified 验证,
early pruning 早期剪枝, acceptance length 接受长度, plain decoding 普通解码, speed-up 加速比,
batch 批次, row (of a batch) 序列, run 运行, recorded 录制, measured 实测, estimated 估计, lossless 无损,
greedy 贪心, recall 召回率, logit lens and names of methods stay as they are.
"""
