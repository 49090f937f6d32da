#!/usr/bin/env bash
# The steps by hand: delete the old Job, apply, wait, read the logs, run the same code once without Kubernetes.
# Usage: bare.sh KUBERNETES-BINARY MANIFEST COMMAND-THAT-RUNS-A-PROGRAM-FROM-STDIN-ON-THE-PI...
set -euo pipefail
kubectl=("$1" kubectl)
manifest=$2
shift 2

"${kubectl[@]}" delete job pi-calculation-job --ignore-not-found
"${kubectl[@]}" apply -f "$manifest"
"${kubectl[@]}" wait --for=condition=complete --timeout=60s job/pi-calculation-job
for pod in $("${kubectl[@]}" get pods --selector job-name=pi-calculation-job --output name); do
    "${kubectl[@]}" logs "$pod"
done
"$@" <<'PROGRAM'
import time, random
def monte_carlo_pi(num_samples):
    inside_circle = 0
    for _ in range(num_samples):
        x, y = random.random(), random.random()
        if x**2 + y**2 <= 1:
            inside_circle += 1
    return (inside_circle / num_samples) * 4
start_time = time.time()
print(f"Estimated Pi: {monte_carlo_pi(1000)}, Time: {time.time() - start_time:.2f} seconds")
PROGRAM
