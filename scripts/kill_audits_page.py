"""What scripts/kill_audits.py found, in words."""

from __future__ import annotations

from collections import Counter
from typing import Any


def page(result: dict[str, Any]) -> str:
    kills = result["kills"]
    struck = ", ".join(f"{kind} {count}" for kind, count in Counter(each["what"] for each in kills).items())
    lines = [
        "# Audits that were killed",
        "",
        f"    {result['command']}",
        "",
        f"- {len(kills)} times SIGKILL ({struck}), at moments drawn from seed {result['seed']},",
        f"  over {result['audits']} audits of {result['cells']} cells each, which took {result['runs']} runs.",
    ]
    if result["disks"] is not None:
        disk = result["disks"]
        lines += [
            f"- A disk that became full: {disk['kept']} cells were kept, and a later run did the others. It said:",
            f"  `{disk['full']}`",
            f"- A read-only folder: all was kept. It said: `{disk['read_only']}`",
        ]
    if result["problems"]:
        lines += ["", "NOT as it should be:", "", *(f"- {problem}" for problem in result["problems"])]
    else:
        same = (
            f"All {result['files']} files of measures and inversions of every audit are those of the undisturbed run,"
        )
        lines += ["", same, "byte for byte; no finished cell ran again; no process remained."]
    lines += ["", "Cells done at each kill:", ""]
    lines += [f"{n}. {each['what']}, in {each['audit']}: {each['cells_done']}" for n, each in enumerate(kills, 1)]
    return "\n".join([*lines, ""])
