"""Run as a program: evaluate a pack in the installed lmms-eval with a model that says what a file tells it to.

    python lmms_parrot.py PACK SAID.json OUT.json [LIMIT]

SAID.json maps task -> question id -> reply. OUT.json gets what lmms-eval reports and what the model was asked.
"""

import json
import sys
from pathlib import Path

from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager


class Parrot(lmms):
    def __init__(self, said):
        super().__init__()
        self.said, self.asked = said, {}

    def generate_until(self, requests):
        replies = []
        for question, kwargs, doc_to_visual, doc_id, task, split in (request.args for request in requests):
            doc = self.task_dict[task][split][doc_id]
            sizes = [picture.size for picture in doc_to_visual(doc)]
            self.asked.setdefault(task, {})[doc["id"]] = {"question": question, "sizes": sizes, "kwargs": kwargs}
            replies.append(self.said[task][doc["id"]])
        return replies

    def loglikelihood(self, requests):
        raise NotImplementedError

    def generate_until_multi_round(self, requests):
        raise NotImplementedError


def main(pack, said, out, limit="0"):
    model = Parrot(json.loads(Path(said).read_text()))
    manager = TaskManager(include_path=pack, include_defaults=False)
    found = simple_evaluate(
        model=model, tasks=sorted(model.said), task_manager=manager, bootstrap_iters=0, limit=int(limit) or None
    )
    report = {key: found[key] for key in ("results", "versions", "higher_is_better")}
    report |= {"asked": model.asked, "tags": manager.all_tags, "tasks": manager.all_subtasks}
    Path(out).write_text(json.dumps(report, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
