"""A trial's Job as a file for `kubectl apply`, with what a person has to know before typing that."""

from __future__ import annotations

import re
from typing import Any

import yaml

from pi_speedup.kube.access.client import Json
from pi_speedup.kube.owned.owned import TRIAL_LABEL
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.text import as_comments, listed

# Read as text by every parser of YAML, 1.1 or 1.2. The others are quoted: kubectl's parser takes 1e3 for a
# number and y for a truth value, PyYAML's takes neither.
_PLAIN = re.compile(r"[A-Za-z][-A-Za-z0-9._/]*")
_DOLLARS = """
$$ in command and args is one $ by the time the program sees it: Kubernetes replaces $(NAME) there.
"""
_WORDS_WITH_A_MEANING = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def job_by_hand(manifest: Json, plan: Plan, slot: Slot) -> str:
    """Return a Job as it was sent to the API server, below comments on how to apply it again."""
    body = as_yaml(manifest)
    head = _head(manifest, plan, slot)
    if "$$" in body:
        head += _DOLLARS
    return f"{as_comments(head)}\n{body}"


def as_yaml(manifest: Json) -> str:
    """Return an object as YAML to be read: in blocks, a program as the lines that it has, no references."""
    return yaml.dump(manifest, Dumper=_Blocks, sort_keys=False, width=10_000, allow_unicode=True)


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as they stand."""

    def ignore_aliases(self, data: object) -> bool:
        """Write out what the template's anchors share."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style: str | None = '"'
    if "\n" in text:
        # Where YAML has no block for such a text, as with a carriage return, PyYAML quotes it.
        style = "|"
    elif _PLAIN.fullmatch(text) and text.lower() not in _WORDS_WITH_A_MEANING:
        style = None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Blocks.add_representer(str, _text)


def _head(manifest: Json, plan: Plan, slot: Slot) -> str:
    metadata: dict[str, Any] = manifest["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    (owner,) = metadata["ownerReferences"]
    pis, trial = plan.cell(slot.cell).pis, metadata["labels"][TRIAL_LABEL]
    ttl, deadline = (manifest["spec"][key] for key in ("ttlSecondsAfterFinished", "activeDeadlineSeconds"))
    pods = "one pod, on" if len(pis) == 1 else f"{len(pis)} pods, one each on"
    return f"""
The Job of cell {slot.cell}, as it was sent to the API server for trial {trial}
of run {plan.run_id}: {pods} {listed(pis)}.
The cell's other trials differ in what names the trial: name, labels, annotations and the program's arguments.

To run it once more, in this folder, while no benchmark measures:

  kubectl apply -n {namespace} -f {slot.cell}.yaml
  kubectl wait -n {namespace} --for=condition=complete --timeout={deadline}s job/{name}
  kubectl logs -n {namespace} -l job-name={name} --prefix --tail=-1
  kubectl delete -n {namespace} job {name}

Without kubectl here: ssh SERVER sudo k3s kubectl apply -n {namespace} -f - <{slot.cell}.yaml
and so the others.

Before that:

1. The namespace has to be there. cleanup.yml may have removed it: kubectl create namespace {namespace}
2. No Job may have this name: kubectl apply would not run it again. Delete it, by the last of those lines.
3. The uid in ownerReferences has to be that of a ConfigMap that is there: without an owner that exists
   Kubernetes removes a Job and its pods within seconds. This prints the uid:

     kubectl get configmap -n {namespace} {owner["name"]} -o jsonpath='{{.metadata.uid}}'

   If it is another one, write it below in place of {owner["uid"]}.
   If there is no such ConfigMap, which is so after cleanup.yml, remove the lines from ownerReferences: up to
   spec:, which is not one of them.

Who removes it, if you don't: Kubernetes, {ttl} s after its end. With the owner, also the next benchmark in
this namespace, when it begins, and cleanup.yml. Without it neither: labels alone do not make it theirs.
"""
