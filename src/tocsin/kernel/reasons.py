# ruff: noqa: E501 - one row, one reason
"""Every refusal, numbered, with a sentence for a person (spec 14).

Append-only: a number is never reused or changed in meaning. Three families: 1xx what cannot be
read, 2xx envelopes that are not admitted, 3xx and up acts that are refused. `0` is acceptance.
A refusal is a value, never an exception; an operating error is an exception; a broken invariant
stops the node.
"""

from enum import IntEnum
from typing import Literal

from msgspec import Struct

Retry = Literal["never", "changed", "later"]
"""Whether the same bytes can be accepted later: never; if the state changes; simply later."""


class Reason(IntEnum):
    """Codes in receipts and `relayed` leaves."""

    ACCEPTED = 0
    # 1xx: bytes (never reach the kernel)
    TOO_LARGE = 100
    NOT_UTF8 = 101
    NOT_JSON = 102
    WRONG_SHAPE = 103
    NOT_CANONICAL = 104
    TOO_DEEP = 105
    WRONG_TYPE = 106
    WRONG_VERSION = 107
    DIGEST_MISMATCH = 108
    WRONG_COUNT = 109
    # 2xx: envelopes (spec 3.1)
    OTHER_GENESIS = 200
    UNKNOWN_AUTHOR = 201
    AUTHOR_NOT_ACTIVE = 202
    NOT_AUTHORS_KEY = 203
    BAD_SIGNATURE = 204
    EXPIRED = 205
    TOO_FAR_AHEAD = 206
    SEEN_BEFORE = 207
    QUOTA = 208
    ROOT_KEY_ONLY_ROTATES = 209
    # 3xx: any act (300 was for acts that had no rules yet)
    UNKNOWN_MESSAGE = 301
    NOT_OPEN = 302
    # 31x: submit
    NO_RULE = 310
    NOT_AN_ISSUER = 311
    CANNOT_PASS = 312
    RELAYED_KIND = 313
    SUBJECT_MISSING = 314
    SUBJECT_NOT_ALLOWED = 315
    TERMS_MISMATCH = 316
    CATEGORY_NOT_ALLOWED = 317
    SCHEME_NOT_ALLOWED = 318
    CODE_TOO_FINE = 319
    NOT_SORTED = 320
    ONSET_AFTER_DETECTION = 321
    DETECTED_IN_FUTURE = 322
    NO_TOKEN = 323
    TOO_MANY_REPORTS = 324
    TOO_MANY_OPEN = 325
    TOO_MANY_MOTIONS = 326
    UNKNOWN_INCIDENT = 327
    INCIDENT_CLOSED = 328
    INCIDENT_REQUIRED = 329
    INCIDENT_NOT_ALLOWED = 330
    STATUS_MISMATCH = 331
    DUPLICATE_IN_BLOCK = 332
    UNKNOWN_KIND = 333
    # 34x: ballots, vetoes, withdrawals
    NOT_AN_ELECTOR = 340
    ALREADY_JUDGED = 341
    CODE_REQUIRED = 342
    CODE_NOT_ALLOWED = 343
    NOT_ELIGIBLE_TO_VETO = 345
    ALREADY_CONCURRED = 346
    NOT_THE_AUTHOR = 347
    LEAD_DOES_NOT_VETO = 349
    DATA_FROM_FUTURE = 350
    # 36x: annotations
    NOT_ANNOTATABLE = 360
    NOT_AN_ENDORSER = 361
    NOT_A_SUPERVISOR = 362
    ALREADY_ANNOTATED = 363
    # 37x: orders
    NOT_AN_ADDRESSEE = 370
    ALREADY_ANSWERED = 371
    ORDER_OVER = 372
    UNKNOWN_ADDRESSEE = 373
    BAD_TIMES = 374
    ORDER_NOT_RUNNING = 375
    # 38x: motions
    BASE_DOES_NOT_HOLD = 380
    NO_SUCH_EDGE = 381
    SUBJECT_IS_MOVER = 382
    UNKNOWN_MEMBER = 383
    NOT_APPLICABLE = 384
    SUPERVISOR_AT_ONCE = 385
    KEY_USED = 386
    ID_USED = 387
    ENTITY_USED = 388
    BAD_PROOF_OF_POSSESSION = 389
    PROOFS_EXPIRED = 390
    CHARTER_REFUSED = 391
    TOO_MANY_MEMBERS = 392
    WEAK_KEY = 393
    UNKNOWN_STAGE = 394
    SECOND_PARENT = 395
    BAD_DUPLICATE = 396
    LEAF_TOO_LARGE = 398
    # 40x: findings
    NOT_A_REPORT = 400
    NOT_FINAL = 401
    PARTY_OR_LEAD = 402
    FINDING_STANDS = 403
    ONLY_UNDETERMINED = 404
    NO_FINDING = 405
    REVIEW_EXISTS = 406
    EVIDENCE_DIGEST_REQUIRED = 407
    # 42x: between networks; codes of `relayed` leaves too
    UNKNOWN_PEER = 420
    PEER_FROZEN = 421
    BAD_CHECKPOINT = 422
    NOT_FINAL_CHECKPOINT = 423
    BAD_CONSISTENCY = 424
    BAD_INCLUSION = 425
    WRONG_NUMBER = 426
    BAD_LEAF = 427
    NOT_FOR_US = 428
    DUPLICATE = 429
    LOOP = 430
    TOO_MANY_HOPS = 431
    TOO_FEW_ENDORSERS = 432
    TOO_OLD = 433
    PEER_QUOTA = 434
    WRONG_RELATION = 435
    BAD_ROSTER = 436
    CHECKPOINT_BEHIND = 437
    NOTHING_TO_RELAY = 438
    NOTHING_KNOWN = 439
    PEER_KNOWN = 440
    # 45x: keys, members, evidence
    NOT_EVIDENCE = 450
    PROVES_NOTHING_NEW = 451
    THROUGH_GOES_BACK = 452
    LAST_SIGNER = 453
    ALREADY_JOINED = 454
    NOT_AT_HEAD = 455
    UNSEALED = 456
    NOT_A_SEAL = 457
    NO_SUCH_UPGRADE = 458
    ALREADY_READY = 459


class Entry(Struct, frozen=True):
    """A reason explained. `sentence` and `sentence_zh` say what happened and what to do next."""

    retry: Retry
    sentence: str
    sentence_zh: str


def _entry(retry: Retry, sentence: str, sentence_zh: str) -> Entry:
    return Entry(retry, sentence, sentence_zh)


REGISTRY: dict[Reason, Entry] = {
    Reason.ACCEPTED: _entry("never", "Accepted.", "已接受。"),
    Reason.TOO_LARGE: _entry("never", "The envelope is larger than 64 KiB (128 KiB for a single relay); send fewer acts.", "信封超过 64 KiB（单个转递为 128 KiB）；请减少其中的行为。"),
    Reason.NOT_UTF8: _entry("never", "The bytes are not valid UTF-8; encode the envelope again.", "字节不是有效的 UTF-8；请重新编码信封。"),
    Reason.NOT_JSON: _entry("never", "The bytes are not one JSON value; build the envelope with a client.", "字节不是一个 JSON 值；请用客户端生成信封。"),
    Reason.WRONG_SHAPE: _entry("never", "A field is missing, unknown or of the wrong kind; compare it with the schema.", "有字段缺失、未知或类型不符；请对照格式检查。"),
    Reason.NOT_CANONICAL: _entry("never", "Encoding the content again gives other bytes; use compact JSON in schema order.", "重新编码得到不同的字节；请使用按格式顺序的紧凑 JSON。"),
    Reason.TOO_DEEP: _entry("never", "The JSON is nested more than 16 levels deep; no act needs that.", "JSON 嵌套超过 16 层；没有任何行为需要如此。"),
    Reason.WRONG_TYPE: _entry("never", "The payload type is not that of Tocsin acts; check what was signed.", "载荷类型不是 Tocsin 行为；请检查所签内容。"),
    Reason.WRONG_VERSION: _entry("never", "The envelope is of another version of the protocol; update the client.", "信封属于另一协议版本；请更新客户端。"),
    Reason.DIGEST_MISMATCH: _entry("never", "The acts are not those that were signed; sign the envelope again.", "所附行为与签名的不符；请重新签署信封。"),
    Reason.WRONG_COUNT: _entry("never", "The envelope holds no act, more than 256, or another number than it says.", "信封中没有行为、超过 256 个，或数目与声明不符。"),
    Reason.OTHER_GENESIS: _entry("never", "The envelope is for another network; check which network you sent it to.", "信封属于另一网络；请检查发送目标。"),
    Reason.UNKNOWN_AUTHOR: _entry("changed", "No member of this network has that id; check the author.", "本网络没有该成员；请检查作者。"),
    Reason.AUTHOR_NOT_ACTIVE: _entry("changed", "The author is suspended or no longer a member; it may not act now.", "作者已被暂停或不再是成员；目前不能行事。"),
    Reason.NOT_AUTHORS_KEY: _entry("changed", "The key is not the author's present act key; sign with the current one.", "密钥不是作者现行的行为密钥；请用现行密钥签署。"),
    Reason.BAD_SIGNATURE: _entry("never", "The signature does not fit the content; sign it again.", "签名与内容不符；请重新签署。"),
    Reason.EXPIRED: _entry("never", "The envelope was valid only until a time that has passed; sign a new one.", "信封的有效期已过；请重新签署。"),
    Reason.TOO_FAR_AHEAD: _entry("later", "The envelope is valid for more than an hour from now; check the clock and sign again.", "信封有效期超过一小时；请检查时钟后重新签署。"),
    Reason.SEEN_BEFORE: _entry("never", "This envelope was already taken; look up its receipt.", "该信封已被接收；请查询其回执。"),
    Reason.QUOTA: _entry("later", "The author sent too many envelopes at once; wait a few seconds.", "作者短时间内发送过多信封；请稍候几秒。"),
    Reason.ROOT_KEY_ONLY_ROTATES: _entry("never", "The root key signs only key rotations; use the act key for other acts.", "根密钥只用于更换密钥；其他行为请用行为密钥。"),
    Reason.UNKNOWN_MESSAGE: _entry("changed", "No message has that id here; check the id.", "此处没有该编号的消息；请检查编号。"),
    Reason.NOT_OPEN: _entry("never", "The message does not take this any more: it was decided, or its time has passed.", "该消息不再接受此操作：已有结果，或期限已过。"),
    Reason.NO_RULE: _entry("changed", "The charter has no rule for this kind in this stage; see `tocsin charter explain`.", "章程没有该类型在此阶段的规则；见 `tocsin charter explain`。"),
    Reason.NOT_AN_ISSUER: _entry("changed", "The charter does not let this member issue this kind; see `tocsin charter explain`.", "章程不允许该成员发出此类消息；见 `tocsin charter explain`。"),
    Reason.CANNOT_PASS: _entry("changed", "Too few members could vote for this message to pass; the members must be found first.", "可投票的成员太少，此消息无法通过；须先补足成员。"),
    Reason.RELAYED_KIND: _entry("never", "A relayed kind comes only out of a relay; submit the kind itself.", "转递类消息只能由转递产生；请提交原类型。"),
    Reason.SUBJECT_MISSING: _entry("never", "A report needs a subject: what, where, since when.", "报告需要主题：何事、何地、何时起。"),
    Reason.SUBJECT_NOT_ALLOWED: _entry("never", "Only a report has a subject; leave it empty.", "只有报告才有主题；请留空。"),
    Reason.TERMS_MISMATCH: _entry("never", "The terms do not fit the kind of message; compare them with the schema.", "条款与消息类型不符；请对照格式检查。"),
    Reason.CATEGORY_NOT_ALLOWED: _entry("changed", "The charter does not let this category use this kind of report; choose another kind.", "章程不允许该类别使用此种报告；请另选类型。"),
    Reason.SCHEME_NOT_ALLOWED: _entry("changed", "The charter does not accept codes of this scheme; use one that it names.", "章程不接受该编码体系；请用其列出的体系。"),
    Reason.CODE_TOO_FINE: _entry("changed", "The code is finer than the charter allows to be published; use a coarser one.", "编码细于章程允许公开的程度；请用更粗的编码。"),
    Reason.NOT_SORTED: _entry("never", "A list that is a set must be sorted and without repeats; sort it.", "作为集合的列表须排序且不重复；请排序。"),
    Reason.ONSET_AFTER_DETECTION: _entry("never", "The onset lies after the detection; check the days.", "发病日晚于发现日；请检查日期。"),
    Reason.DETECTED_IN_FUTURE: _entry("later", "The detection lies in the future; check the day.", "发现日在将来；请检查日期。"),
    Reason.NO_TOKEN: _entry("later", "No report token is left; one comes back each week, and each supported report returns its own.", "报告令牌已用完；每周恢复一个，获支持的报告会退还。"),
    Reason.TOO_MANY_REPORTS: _entry("later", "The member made too many reports this week; wait or ask others to report.", "该成员本周报告过多；请等待或请他人报告。"),
    Reason.TOO_MANY_OPEN: _entry("later", "The member has too many open messages; wait until some are decided.", "该成员未决消息过多；请等待部分决定。"),
    Reason.TOO_MANY_MOTIONS: _entry("later", "The member has too many open motions; wait until some are decided.", "该成员未决动议过多；请等待部分决定。"),
    Reason.UNKNOWN_INCIDENT: _entry("changed", "No incident has that id here; check the id or use `new`.", "此处没有该事件；请检查编号或用 `new`。"),
    Reason.INCIDENT_CLOSED: _entry("never", "The incident is closed, and closed is final; report a new one.", "该事件已关闭且不可重开；请报告新事件。"),
    Reason.INCIDENT_REQUIRED: _entry("never", "This kind of message must name an incident.", "此类消息必须指明事件。"),
    Reason.INCIDENT_NOT_ALLOWED: _entry("never", "This kind of message does not name an incident; leave it empty.", "此类消息不指明事件；请留空。"),
    Reason.STATUS_MISMATCH: _entry("never", "Exercises and actual incidents never mix; name an incident of the same status.", "演练与实际事件不得混同；请指明同状态的事件。"),
    Reason.DUPLICATE_IN_BLOCK: _entry("later", "The same thing was done in this block already; look at the result first.", "本区块已做同样的事；请先看结果。"),
    Reason.UNKNOWN_KIND: _entry("never", "The protocol knows no such kind of motion, order, finding or share.", "协议没有此种动议、命令、认定或共享。"),
    Reason.NOT_AN_ELECTOR: _entry("never", "This member is not in the electorate of this message; see its `opened` leaf.", "该成员不在此消息的表决者中；见其 `opened` 叶。"),
    Reason.ALREADY_JUDGED: _entry("never", "This member has judged this message already; a ballot is final.", "该成员已表决此消息；表决不可更改。"),
    Reason.CODE_REQUIRED: _entry("never", "An abstention or a `cannot` needs a code that says why.", "弃权或“无法执行”须附原因代码。"),
    Reason.CODE_NOT_ALLOWED: _entry("never", "The code is not one that may stand here; see the charter's codes.", "该代码不能用于此处；见章程的代码表。"),
    Reason.NOT_ELIGIBLE_TO_VETO: _entry("never", "This member may not veto this message; see the eligible in its `opened` leaf.", "该成员不能否决此消息；见其 `opened` 叶中的名单。"),
    Reason.ALREADY_CONCURRED: _entry("never", "This supervisor has given up its veto on this message already.", "该监督者已放弃对此消息的否决。"),
    Reason.NOT_THE_AUTHOR: _entry("never", "Only the author may do this.", "只有作者可以这样做。"),
    Reason.LEAD_DOES_NOT_VETO: _entry("changed", "Who leads an incident does not also judge its messages by veto or finding.", "牵头者不得同时以否决或认定来裁判其事件。"),
    Reason.DATA_FROM_FUTURE: _entry("later", "The data cannot reach beyond today; check the day.", "数据不可能超过今天；请检查日期。"),
    Reason.NOT_ANNOTATABLE: _entry("never", "Only a message that is open, endorsed or recorded can be annotated.", "只有未决、已背书或已记录的消息可以加注。"),
    Reason.NOT_AN_ENDORSER: _entry("never", "Only who endorsed the message can recant.", "只有背书者可以撤回背书。"),
    Reason.NOT_A_SUPERVISOR: _entry("never", "Only a supervisor can object.", "只有监督者可以提出异议。"),
    Reason.ALREADY_ANNOTATED: _entry("never", "The member has made this statement on this message already.", "该成员已对此消息作过此声明。"),
    Reason.NOT_AN_ADDRESSEE: _entry("never", "The order is not addressed to this member.", "该命令不是发给此成员的。"),
    Reason.ALREADY_ANSWERED: _entry("never", "This answer, or a final one, was given already.", "该答复或最终答复已给出。"),
    Reason.ORDER_OVER: _entry("never", "The order has expired, or was replaced or revoked.", "该命令已到期、被替换或被撤销。"),
    Reason.UNKNOWN_ADDRESSEE: _entry("changed", "An addressee is not an active member; check the list.", "有收令者不是现行成员；请检查名单。"),
    Reason.BAD_TIMES: _entry("never", "The times do not follow each other as they must: now, due, expiry, within the charter's limit.", "时间先后不符：现在、期限、失效，且须在章程限度内。"),
    Reason.ORDER_NOT_RUNNING: _entry("changed", "The order to replace or revoke is not running.", "要替换或撤销的命令并未生效。"),
    Reason.BASE_DOES_NOT_HOLD: _entry("changed", "What the motion assumes is no longer so; look again and move anew.", "动议所依据的情况已变；请重新查看再动议。"),
    Reason.NO_SUCH_EDGE: _entry("changed", "The charter has no way from this stage to that one.", "章程没有从此阶段到彼阶段的路径。"),
    Reason.SUBJECT_IS_MOVER: _entry("never", "A member does not move a motion about itself.", "成员不得就自身提出动议。"),
    Reason.UNKNOWN_MEMBER: _entry("changed", "No member has that id; check the id.", "没有该成员；请检查编号。"),
    Reason.NOT_APPLICABLE: _entry("changed", "The motion would change nothing, or not in this member's status.", "该动议不会带来改变，或不适用于该成员的状态。"),
    Reason.SUPERVISOR_AT_ONCE: _entry("never", "A new member is never supervisor at once; give the role by a later motion.", "新成员不得立即成为监督者；请以后另行动议。"),
    Reason.KEY_USED: _entry("never", "A key was used before in this network; make new keys.", "有密钥曾在本网络使用；请生成新密钥。"),
    Reason.ID_USED: _entry("never", "The id belongs to a member already; ids are never reused.", "该编号已属于某成员；编号不得重用。"),
    Reason.ENTITY_USED: _entry("never", "The legal entity is or was a member already; reinstate it instead.", "该法人已是或曾是成员；请改为恢复。"),
    Reason.BAD_PROOF_OF_POSSESSION: _entry("never", "A new key did not sign the statement that proves possession.", "有新密钥未签署持有证明。"),
    Reason.PROOFS_EXPIRED: _entry("never", "The proofs of possession have expired; ask the member to sign again.", "持有证明已过期；请该成员重新签署。"),
    Reason.CHARTER_REFUSED: _entry("changed", "The new charter does not load on this roster; see `tocsin charter show --check`.", "新章程在当前成员名册下无法加载；见 `tocsin charter show --check`。"),
    Reason.TOO_MANY_MEMBERS: _entry("changed", "A network has at most 100 members.", "一个网络最多 100 名成员。"),
    Reason.WEAK_KEY: _entry("never", "A key is of small order and would sign for anything; make new keys.", "有密钥属于小阶点，任何签名都能通过；请生成新密钥。"),
    Reason.UNKNOWN_STAGE: _entry("changed", "The charter has no such stage.", "章程没有该阶段。"),
    Reason.SECOND_PARENT: _entry("changed", "A network has at most one parent.", "一个网络最多有一个上级。"),
    Reason.BAD_DUPLICATE: _entry("changed", "The other incident must be live, of the same status, and not this one.", "另一事件须为进行中、状态相同且不是本事件。"),
    Reason.LEAF_TOO_LARGE: _entry("never", "The result would not fit into one leaf of the log.", "结果超出日志一片叶的容量。"),
    Reason.NOT_A_REPORT: _entry("never", "A finding is about a report or a relayed report.", "认定只针对报告或转递的报告。"),
    Reason.NOT_FINAL: _entry("later", "The report is not final yet.", "该报告尚无最终结果。"),
    Reason.PARTY_OR_LEAD: _entry("never", "A party of the record, or the sitting lead, does not find on it; a party may ask for a review.", "当事者或现任牵头者不得作认定；当事者可请求复核。"),
    Reason.FINDING_STANDS: _entry("never", "A finding stands already; ask for a review.", "已有认定；请提请复核。"),
    Reason.ONLY_UNDETERMINED: _entry("never", "Without evidence only `undetermined` can be found.", "没有证据只能认定为“未定”。"),
    Reason.NO_FINDING: _entry("changed", "There is no such finding on this target to review.", "该对象没有可复核的认定。"),
    Reason.REVIEW_EXISTS: _entry("never", "There is a review of this target already, open or recorded.", "该对象已有未决或已记录的复核。"),
    Reason.EVIDENCE_DIGEST_REQUIRED: _entry("never", "A finding with evidence names the digest of that evidence.", "有证据的认定须给出证据摘要。"),
    Reason.UNKNOWN_PEER: _entry("changed", "This network has no such peer; it is added by motion.", "本网络没有该对等网络；须以动议加入。"),
    Reason.PEER_FROZEN: _entry("changed", "The peer is frozen because it contradicted itself; it is thawed by motion.", "该对等网络因自相矛盾已冻结；须以动议解冻。"),
    Reason.BAD_CHECKPOINT: _entry("never", "The checkpoint cannot be read, or is not signed by the peer's log.", "检查点无法读取，或未由对方日志签署。"),
    Reason.NOT_FINAL_CHECKPOINT: _entry("never", "Too few of the peer's finality keys signed the checkpoint; wait for its quorum.", "对方终局密钥签署不足；请等待其法定数。"),
    Reason.BAD_CONSISTENCY: _entry("never", "The checkpoint does not extend the pinned one; keep both, they may be evidence.", "检查点不是已固定检查点的延续；请保留两者作证据。"),
    Reason.BAD_INCLUSION: _entry("never", "A leaf is not in the log that the checkpoint names.", "有叶不在该检查点的日志中。"),
    Reason.WRONG_NUMBER: _entry("changed", "The leaf does not have the next number; relay the missing ones first.", "叶的编号不是下一个；请先转递缺失者。"),
    Reason.BAD_LEAF: _entry("never", "The leaf cannot be read, or is of a kind that does not travel.", "叶无法读取，或属于不外传的类型。"),
    Reason.NOT_FOR_US: _entry("never", "The leaf is not addressed to this network.", "该叶不是发给本网络的。"),
    Reason.DUPLICATE: _entry("never", "The same message arrived before on some path.", "同一消息已由其他路径到达。"),
    Reason.LOOP: _entry("never", "The message comes from this network itself.", "该消息源自本网络。"),
    Reason.TOO_MANY_HOPS: _entry("never", "The message has passed more than 8 networks.", "该消息已经过 8 个以上网络。"),
    Reason.TOO_FEW_ENDORSERS: _entry("never", "Fewer endorsed it where it began than this network asks for.", "其源头的背书者少于本网络的要求。"),
    Reason.TOO_OLD: _entry("never", "It was recorded longer ago than this network accepts.", "其记录时间早于本网络接受的期限。"),
    Reason.PEER_QUOTA: _entry("later", "The peer has sent more reports this week than it may.", "对方本周送达的报告超过限额。"),
    Reason.WRONG_RELATION: _entry("changed", "A peer of this relation does not send this.", "该关系的对等网络不得送出此类消息。"),
    Reason.BAD_ROSTER: _entry("never", "The roster leaf must be of the next epoch, the last but one of the checkpoint's log, and name at least one good finality key; relay each change with the checkpoint at the end of its block.", "名册叶须属于下一纪元、是该检查点日志的倒数第二片，并至少含一个有效的终局密钥；请将每次变更连同其区块末尾的检查点一并转递。"),
    Reason.CHECKPOINT_BEHIND: _entry("changed", "The checkpoint is older than the pinned one.", "检查点早于已固定者。"),
    Reason.NOTHING_TO_RELAY: _entry("never", "The relay brings neither a leaf nor a newer checkpoint.", "此转递既无新叶也无更新的检查点。"),
    Reason.NOTHING_KNOWN: _entry("never", "It speaks of a message that this network does not know, or does not share with the sender.", "其所述消息为本网络所不知，或未与发送方共享。"),
    Reason.PEER_KNOWN: _entry("never", "This network is or was a peer under another origin, or another network under this one; they belong to each other for ever.", "该网络已是或曾是另一来源名下的对等方，或另一网络曾用此来源名；二者永久对应。"),
    Reason.NOT_EVIDENCE: _entry("never", "The two statements do not contradict each other, or are not signed by known keys.", "两份声明并不矛盾，或未由已知密钥签署。"),
    Reason.PROVES_NOTHING_NEW: _entry("never", "The same contradiction is on record already.", "同一矛盾已有记录。"),
    Reason.THROUGH_GOES_BACK: _entry("never", "The data reached further before; name a later day.", "数据此前已到更晚的日期；请给出更晚的日期。"),
    Reason.LAST_SIGNER: _entry("changed", "Without this member nobody could make anything final; let another join first.", "若该成员离开，将无人能使任何记录终局；请先让另一成员加入。"),
    Reason.ALREADY_JOINED: _entry("never", "This member has joined already; its keys count.", "该成员已加入；其密钥已生效。"),
    Reason.NOT_AT_HEAD: _entry("changed", "The node is not at the head: it names a block more than 100 behind, or none yet made; let it catch up and join again.", "该节点未跟上链首：所报区块落后超过 100 个，或尚未产生；请待其追上后再加入。"),
    Reason.UNSEALED: _entry("later", "The last change of who signs is not proven final yet; seal it with the checkpoint at its block's end, then do this again.", "上一次签署者变更尚未证明为终局；请先以其区块末尾的检查点封存，再重试。"),
    Reason.NOT_A_SEAL: _entry("changed", "The checkpoint does not end a block whose change of signers waits for its seal, or too few of the signers before it signed.", "该检查点并非待封存的签署者变更区块之末，或变更前的签署者签署不足。"),
    Reason.NO_SUCH_UPGRADE: _entry("changed", "No upgrade to this protocol waits; it is voted in by `motion.upgrade` first.", "没有升级至该协议的待行决定；须先以 `motion.upgrade` 表决。"),
    Reason.ALREADY_READY: _entry("never", "This member has said already that it is ready.", "该成员已声明准备就绪。"),
}


def sentence(code: int, language: Literal["en", "zh"] = "en") -> str:
    """The sentence of a reason for a person; raises ValueError for an unknown number."""
    entry = REGISTRY[Reason(code)]
    return entry.sentence if language == "en" else entry.sentence_zh
