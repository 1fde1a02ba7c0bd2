"""Chinese of `mmgen catalogue` and `mmgen search`; tests hold it against catalogue_en.py."""

from __future__ import annotations

ERRORS = {
    "catalogue.broken": "图库 {path} 读不了（{reason}）；请从备份恢复，或重新添加图片。",
    "catalogue.empty": "图库 {name} 里还没有图片；请先添加：mmgen catalogue add 目录",
    "catalogue.missing": "没有叫 {name} 的图库；现有的图库：{allowed}。",
    "catalogue.newer": (
        "{path} 是更新版本的 mmgen 建的（格式 {got}，这里能读到 {limit}）；请升级 mmgen。"
    ),
    "catalogue.no_item": "图库 {name} 里没有 {item}；可以用 mmgen search 查找。",
    "catalogue.other_model": (
        "图库 {name} 的向量出自检索模型 {theirs}，现在用的是 {ours}，两者不能混用；"
        "请重新编码：mmgen catalogue check {name} --rebuild"
    ),
    "catalogue.read_only": "图库 {name} 是 mmgen 自带的，不能改动；请换一个名字。",
    "filter.bad": "筛选条件 {got} 不是 名称=值 的写法，例如 袖长=长袖。",
    "filter.unknown": "没有图片带有属性 {got}；可以筛选的属性：{allowed}。",
    "query.empty": "{got} 里没有可以搜索的内容；请描述一件衣服，例如：{example}",
    "references.features": (
        "图库 {catalogue} 的参考特征是为另一个模型算的，当前模型 {model} 用不了；"
        "请用 --catalogue 指定自己的图库。"
    ),
    "source.empty": "{path} 里没有图片；应当有 PNG、JPEG 或 WebP 文件，或写明图片的表格。",
    "source.no_picture_column": "{path} 的列是 {got}；要有一列写明图片，列名可以是 {allowed}。",
}

WARNINGS = {
    "catalogue.index_rebuilt": "图库 {name} 的索引坏了（{reason}），已经重建。",
    "filter.no_match": "没有图片的{name}是 {got}；现有的值：{allowed}。",
    "references.fewer": "图库 {name} 里只找到 {got} 张可用的参考图，少于要的 {wanted} 张。",
}

NAMES = {
    "--catalogue": "图库名 --catalogue ",
    "--retrieve": "参考图张数 --retrieve ",
    "--sheet": "对照图 --sheet ",
}

PHRASES = {
    "a checksum is wrong": "校验和不对",
    "cells is gone": "分区文件不见了",
    "give ids, --missing or --all": "请写上编号，或者用 --missing、--all",
    "give words, --picture PIC, or both": "请写上描述，或用 --picture 给出图片，也可以两样都给",
    "ids is cut short": "编号文件不完整",
    "ids is gone": "编号文件不见了",
    "install it: pip install 'mmgen[lance]'": "请安装：pip install 'mmgen[lance]'",
    "index.json is damaged": "index.json 坏了",
    "index.json is gone": "index.json 不见了",
    "index.json was changed": "index.json 被改动过",
    "it confirms that a whole catalogue is deleted": "它确认要删除整个图库",
    "it is no catalogue": "不是图库",
    "it names no picture": "没有写明图片",
    "the inverted file is damaged": "分区文件坏了",
    "vectors is cut short": "向量文件不完整",
    "vectors is gone": "向量文件不见了",
}

PATTERNS = {
    r"a name of 1 to (\d+) characters": " 1 到 {0} 个字的名字",
}

INTERFACE = {
    "help.catalogue": "图库：把自己的商品图变成可以检索的资料。",
    "help.catalogue_add": "把目录或表格里的图片加进图库；没变过的会跳过。",
    "help.catalogue_check": "检查图库、索引和图片文件是否一致。",
    "help.catalogue_list": "列出全部图库。",
    "help.catalogue_name": "图库的名字",
    "help.catalogue_remove": "从图库里移除图片（不删除图片文件）。",
    "help.filter": "只要符合的，例如 袖长=长袖；可以写多次",
    "help.hits": "最多列出几张",
    "help.index": "索引放在对象存储，例如 s3://桶/前缀",
    "help.items": "要移除的编号",
    "help.licence": "这些图片的许可",
    "help.missing": "移除文件已经不在的",
    "help.query": "要找的衣服，例如 红色格子衬衫",
    "help.query_picture": "按图片找；可以和描述一起用",
    "help.rebuild": "重建索引；换了检索模型时重新编码",
    "help.remove_all": "删除整个图库，要加 --yes",
    "help.retrieve": "从图库里找几张做参考；0 是不找",
    "help.search": "在图库里按描述或图片查找。",
    "help.search_sheet": "把结果拼成一张对照图，存到这里",
    "help.sources": "图片目录，或 CSV、XLSX、JSONL 表格",
    "help.towers": "检索模型：towers、embedded 或目录",
    "help.train_builtin": "重建自带的图库：训练照片的特征和描述，不含像素。",
    "help.builtin_output": "放自带图库的目录",
    "help.yes": "不再询问",
    "catalogue.added": (
        "图库 {name}：新增 {added}，更新 {updated}，移动 {moved}，"
        "未变 {unchanged}，失败 {failed}，用时 {elapsed}"
    ),
    "catalogue.bad": "跳过：{sentence}",
    "catalogue.built": "{folder}：{count} 项，{size:.1f} MB",
    "catalogue.changed": "{count} 张图片的内容变了，重新 add 即可更新：{items}",
    "catalogue.damage": "数据库有问题：{line}",
    "catalogue.encoded": "用现在的检索模型重新编码了 {count} 张",
    "catalogue.fine": "图库 {name}：{items} 张，一切正常",
    "catalogue.gone": "{count} 张的文件已经不在，仍留在图库里：{items}",
    "catalogue.head_items": "张数",
    "catalogue.head_model": "检索模型",
    "catalogue.head_name": "图库",
    "catalogue.index": "索引坏了（{reason}），已经重建",
    "catalogue.lost": "{count} 张没有了原来的图片，无法重新编码，已移除",
    "catalogue.missing": "{count} 张的文件不见了，可以用 remove --missing 移除：{items}",
    "catalogue.more": "另有 {count} 张也读不了",
    "catalogue.none": "还没有图库；先添加：mmgen catalogue add 目录",
    "catalogue.not_fine": "图库 {name}：{items} 张，有问题，见上",
    "catalogue.removed": "从图库 {name} 移除了 {count} 张",
    "catalogue.repeated": "编号重复，后面的记为 编号#2、编号#3：{items}",
    "catalogue.stopped": "已停止；再运行一次同样的命令就会接着做。",
    "search.head_file": "文件",
    "search.head_item": "编号",
    "search.head_score": "相似度",
    "search.head_words": "描述",
    "search.no_pictures": "这些结果没有图片文件，拼不成对照图",
    "search.none": "没有找到",
    "searching": "正在图库 {name} 里查找",
}
