"""Chinese of `mmgen jobs`; tests hold it against the errors and jobs_en.py."""

from __future__ import annotations

ERRORS = {
    "job.ambiguous": "{got} 是 {count} 个任务的开头；请多写几位。",
    "job.missing": "没有 {got} 这个任务；mmgen jobs list 会列出全部任务。",
    "job.not_runnable": "任务 {job} 的状态是{state}；{advice}。",
    "ray.actors_failing": "Ray 工作进程还没能开始画就结束了 {times} 次（{reason}）。",
    "ray.missing": "用不了 Ray（{reason}）；请安装 mmgen[ray]，并检查 --address。",
    "ray.unguarded": "谁能连到 Ray 集群 {address}，谁就能在上面运行代码；"
    "请在每个节点和这里都设置 RAY_AUTH_MODE=token（现在是 {got}）。",
    "worker.not_starting": "工作进程还没能开始画就结束了 {times} 次（{reason}）；详见 {log}。",
    "worker.refused": "工作进程没法画图：{reason}。",
}

NAMES = {
    "engine": "运行方式 --engine ",
    "gpus": "显卡数 --gpus ",
    "workers": "工作进程数 --workers ",
}

PHRASES = {
    "run `mmgen batch` with its table again": "请用原来的表格再运行一次 mmgen batch",
    "`mmgen jobs retry` brings it back": "可以用 mmgen jobs retry 恢复",
    "unset": "没有设置",
    "of this machine": "（本机）",
    "planning": "计划中",
    "active": "进行中",
    "paused": "已暂停",
    "cancelled": "已取消",
    "pending": "等待",
    "running": "正在画",
    "done": "完成",
    "failed": "失败",
    "vanished": "已不在表中",
    "output.disk_full": "磁盘满了",
    "output.not_writable": "写不进输出目录",
    "job.failures": "接连 20 行一开始就失败，多半是设置有问题",
    "by request": "按要求",
    "it did not stop in time": "没有按时停下",
    "store.broken": "任务库损坏",
    "item.attempts": "尝试次数不对",
    "item.no_result": "标为完成却没有结果",
    "item.no_reason": "标为失败却没有原因",
    "item.abandoned": "标为正在画，工作进程却已不在（resume 会收回）",
    "item.request": "请求与它的编号不符",
    "file.shared": "两行指着同一个文件",
    "file.outside": "文件在任务目录之外",
    "file.missing": "文件不见了",
    "file.changed": "文件内容变了",
    "file.half_written": "没写完的临时文件",
    "file.unclaimed": "有图片，任务库里却没有记完成",
    "label.broken": "AI 标识缺失或被改动",
    "label.other": "AI 标识的编号与任务库不符",
    "record.missing": "缺少旁边的 .json 记录",
    "record.broken": "旁边的 .json 记录与图片不符",
    "record.other_item": "记录属于另一行",
}

PATTERNS = {
    r"it was ended by (\w+)": "被 {0} 终止",
    r"it was ended by signal (\d+)": "被信号 {0} 终止",
    r"it ended with (\d+)": "退出码 {0}",
    r"no sign of life for (\d+) s": "{0} 秒没有动静",
    r"more than (\d+) MB of memory": "内存超过 {0} MB",
}

INTERFACE = {
    "help.jobs": "查看、继续、暂停、检查批量任务",
    "help.jobs_list": "列出全部任务",
    "help.jobs_show": "一个任务的进度，以及失败的每一行和原因",
    "help.jobs_resume": "接着画没画完的",
    "help.jobs_retry": "让失败或取消的行再试 3 次（之后用 resume 画）",
    "help.jobs_pause": "画完手上这张就暂停",
    "help.jobs_cancel": "取消没画的行；已有的图片都保留",
    "help.jobs_check": "逐一核对任务库、图片、标识和记录",
    "help.job": "任务编号（开头几位即可）或它的输出目录",
    "help.job_rows": "只要这些行的编号（如 SKU）；不写就是全部",
    "help.workers": "工作进程数；每个都要载入一次模型",
    "help.engine": "local（本机进程）或 ray（Ray 集群，多机或多卡）",
    "help.address": "Ray 集群的地址；不写就在本机起一个",
    "help.gpus": "每个 Ray 工作进程占几块显卡",
    "help.store_url": "写到对象存储，如 s3://桶/目录（用 ray 时）",
    "jobs.none": "还没有任务。",
    "jobs.line": "{job}  {state}  {done}/{total}  失败 {failed}  {folder}",
    "jobs.reason": "暂停的原因：{reason}",
    "jobs.counts": "完成 {done}，等待 {pending}，正在画 {running}，失败 {failed}，"
    "取消 {cancelled}，已不在表中 {vanished}",
    "jobs.failed_item": "失败：{row}（试了 {attempt} 次）：{reason}",
    "jobs.rate": "每分钟 {rate:.1f} 张，还要 {left}",
    "jobs.progress": "{done}/{total}，失败 {failed}",
    "jobs.worker_died": "工作进程没了：{reason}；换一个接着画",
    "jobs.micro_batch": "显存或内存不够，改为一次画 {size} 张",
    "jobs.attempt_failed": "{row} 这一次没画成：{reason}",
    "jobs.ended": "任务 {state}：完成 {done}，失败 {failed}，剩 {left}",
    "jobs.resume_hint": "接着画：mmgen jobs resume {job}",
    "jobs.retried": "{count} 行可以再试；mmgen jobs resume {job} 开始画",
    "jobs.paused": "已暂停；mmgen jobs resume {job} 接着画",
    "jobs.cancelled": "已取消；画好的图片都在 {folder}",
    "jobs.finding": "{what}：{row} {path}",
    "jobs.whole": "{count} 张图片、标识和记录都与任务库一致。",
    "jobs.not_whole": "发现 {count} 处不一致。",
}
