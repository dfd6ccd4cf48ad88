"""Sends the metrics of a critiq run to Weights & Biases: a W&B run for each stage that trained.

    pip install wandb && wandb login
    python wandb_upload.py data/exp7 --project critiq

It may be repeated while the run goes on: ids are derived from the settings, and steps that are there already are not sent
again. The metrics are those of `metrics/*.jsonl`; the settings are those that each stage recorded.
"""

import argparse
import hashlib
import json
import pathlib


def lines(file):
    """The complete lines of a JSON lines file."""
    for text in file.read_text().split("\n"):
        try:
            yield json.loads(text)
        except ValueError:
            pass  # the last line of a run that is being written


def plans(run):
    """The settings that each stage instance was built with, by instance."""
    found = {}
    for file in sorted(run.rglob("_plan.json")):
        if ".trash" not in file.parts:
            plan = json.loads(file.read_text())
            found[plan["instance"]] = plan["settings"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=pathlib.Path, help="the run folder, for example data/exp7")
    parser.add_argument("--project", default="critiq")
    args = parser.parse_args()

    import wandb

    record = json.loads((args.run / "run.json").read_text())
    settings = plans(args.run)
    for file in sorted((args.run / "metrics").rglob("*.jsonl")):
        instance = file.relative_to(args.run / "metrics").with_suffix("").as_posix()
        config = settings.get(instance, {})
        # other settings are another run in W&B, as they are another result in critiq
        key = json.dumps([str(args.run.resolve()), instance, config], sort_keys=True)
        target = wandb.init(
            project=args.project,
            id=hashlib.sha256(key.encode()).hexdigest()[:16],
            resume="allow",
            name=f"{args.run.name}/{instance}",
            group=args.run.name,
            config={**config, "commit": record["commit"], "versions": record["versions"]},
        )
        last = int(target.summary.get("critiq_step", -1))
        for line in sorted(lines(file), key=lambda line: line["step"]):
            if line["step"] <= last:
                continue
            shard, step = line.pop("shard"), line.pop("step")
            values = {name: value for name, value in line.items() if value is not None}
            target.log({**values, "shard": shard, "critiq_step": step}, step=step)
        target.finish()


if __name__ == "__main__":
    main()
