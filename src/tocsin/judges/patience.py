"""When a member speaks: at once if it sees, otherwise not before the end of the window.

A township without cases today may have some tomorrow, and a ballot is final. So a member that sees nothing keeps
silent while the window runs, and says on its last morning what its data allow: reject, or abstain.
"""

from tocsin.judges.port import Answer, ReportSummary

__all__ = ["speak"]


def speak(answer: Answer, report: ReportSummary, today: int) -> Answer | None:
    """The ballot to cast on the morning of day `today`, or None to wait; never after `closes_day`."""
    if today > report.closes_day:
        return None
    if answer.verdict == "endorse" or today == report.closes_day:
        return answer
    return None
