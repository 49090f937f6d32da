"""The code of each kind of problem, by which a user finds it and a script knows it.

docs/troubleshooting.md has a row for each. A code keeps its meaning: one that is no longer used is not given
to another problem.
"""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Code(StrEnum):
    """What kind of problem it is; the name says it in English, the value is what is shown."""

    # Settings, inventory and command line.
    SETTING_NOT_VALID = "PS-101"
    SETTING_UNKNOWN = "PS-102"
    SETTING_TEMPLATE_FAILS = "PS-103"
    CORES_UNKNOWN = "PS-104"
    CHECK_MODE = "PS-105"
    LIMIT_LEAVES_OUT = "PS-106"
    TOO_FEW_PIS = "PS-107"
    PROGRAM_NOT_VALID = "PS-108"
    INVENTORY_GROUPS = "PS-111"
    PI_NAMED_TWICE = "PS-112"
    PI_NOT_A_NODE_NAME = "PS-113"
    INVENTORY_IS_THE_SAMPLE = "PS-114"
    ANSIBLE_SETTINGS_OF_OTHERS = "PS-121"
    NOT_INSTALLED = "PS-122"

    # A Pi, as it is reached over SSH.
    SSH_UNREACHABLE = "PS-201"
    SSH_HOST_KEY_UNKNOWN = "PS-202"
    SSH_HOST_KEY_CHANGED = "PS-203"
    SSH_DENIED = "PS-204"
    SSHPASS_MISSING = "PS-205"
    SSH_FILES_HERE = "PS-206"
    SUDO_ASKS = "PS-211"
    SUDO_DENIED = "PS-212"
    SUDO_FORBIDDEN = "PS-213"
    SUDO_MISSING = "PS-214"
    PYTHON_MISSING = "PS-215"
    PI_CANNOT_BE_WORKED_ON = "PS-216"
    PI_COMMAND_BROKE_OFF = "PS-217"
    PI_CANNOT_BE_LOOKED_AT = "PS-218"
    PI_WITHOUT_MEMORY_CGROUP = "PS-221"
    PI_32_BIT = "PS-222"
    PI_CLOCK_OFF = "PS-223"
    PI_THROTTLED = "PS-224"
    PI_DISK_READ_ONLY = "PS-225"

    # A Pi, as Kubernetes knows it.
    NODE_NOT_READY = "PS-301"
    NODE_CORDONED = "PS-302"
    NODE_LOST = "PS-303"
    NODE_TAINTED = "PS-304"
    NODE_JUST_BACK = "PS-305"
    NODE_SHORT_OF_RESOURCES = "PS-306"
    NODE_WITHOUT_NETWORK = "PS-307"
    NODE_OF_OTHER_ARCHITECTURE = "PS-308"
    NODE_MISSING = "PS-309"
    CLUSTER_WITHOUT_NODES = "PS-310"

    # The API server, the namespace, who may do what there.
    API_UNREACHABLE = "PS-401"
    API_CERTIFICATE = "PS-402"
    API_CERTIFICATE_EXPIRED = "PS-403"
    API_NOT_KUBERNETES = "PS-404"
    API_FAILED = "PS-405"
    API_IDENTITY_UNKNOWN = "PS-406"
    API_RIGHT_MISSING = "PS-407"
    API_RIGHT_WITHOUT_EFFECT = "PS-408"
    API_REQUEST_NOT_VALID = "PS-409"
    API_TOO_OLD = "PS-410"
    OBJECT_GONE_OR_CHANGED = "PS-411"
    OBJECT_OF_OTHERS = "PS-412"
    NAMESPACE_RULE = "PS-413"
    NAMESPACE_GOING = "PS-414"
    WEBHOOK_AWAY = "PS-415"
    CLAIMED_BY_ANOTHER_RUN = "PS-421"
    CLAIM_LOST = "PS-422"
    KUBECONFIG_MISSING = "PS-431"
    KUBECONFIG_UNREADABLE = "PS-432"
    KUBECONFIG_OPEN_TO_OTHERS = "PS-433"
    KUBECONFIG_MALFORMED = "PS-434"
    KUBECONFIG_SEVERAL = "PS-435"
    K3S_SERVER_NOT_THERE = "PS-436"

    # A trial: its image, Job and pods, or its base case, and their results.
    IMAGE_UNAVAILABLE = "PS-501"
    IMAGE_RATE_LIMIT = "PS-502"
    IMAGE_FOR_OTHER_PROCESSOR = "PS-503"
    IMAGE_WITHOUT_INTERPRETER = "PS-504"
    POD_UNSCHEDULABLE = "PS-511"
    POD_NOT_CREATED = "PS-512"
    POD_NOT_STARTED = "PS-513"
    POD_SETTINGS_REFUSED = "PS-514"
    POD_FAILED = "PS-521"
    OUT_OF_MEMORY = "PS-522"
    POD_EVICTED = "PS-523"
    POD_DELETED = "PS-524"
    PI_DRAINED = "PS-525"
    PI_LOST_DURING_TRIAL = "PS-526"
    TIMEOUT = "PS-531"
    JOB_FAILED = "PS-532"
    JOB_DELETED = "PS-533"
    JOB_SUSPENDED = "PS-534"
    PODS_MISPLACED = "PS-535"
    RESULT_DAMAGED = "PS-541"
    RESULT_OF_OTHER_TRIAL = "PS-542"

    # The base case and what it runs in.
    RUNTIME_MISSING = "PS-601"
    RUNTIME_FORBIDDEN = "PS-602"
    RUNTIME_DOWN = "PS-603"
    RUNTIME_SILENT = "PS-604"
    RUNTIME_FAILS = "PS-605"
    RUNTIME_CANNOT_LIMIT = "PS-606"
    PI_DISK_FULL = "PS-607"
    PI_HAS_FEWER_CORES = "PS-608"
    BASE_PYTHON_NOT_VALID = "PS-609"
    BASE_FAILED = "PS-611"
    BASE_STOPPED = "PS-612"
    BASE_CONTAINER_LEFT = "PS-613"

    # Files on this machine.
    FILE_NOT_WRITTEN = "PS-701"
    FILE_UNREADABLE = "PS-702"
    FILE_SPOILT = "PS-703"
    FILE_IN_THE_WAY = "PS-704"
    KEY_NOT_REMOVED = "PS-705"
    RUN_MISSING = "PS-711"
    RUN_DIFFERS = "PS-712"
    RUN_COMPLETE = "PS-713"
    RUN_PLAN_GONE = "PS-714"
    RUN_WRITTEN_BY_ANOTHER = "PS-715"
    TRIAL_DOES_NOT_FIT = "PS-716"

    # cleanup.yml and preload.yml.
    CLEANUP_DURING_RUN = "PS-801"
    OBJECT_NOT_GONE = "PS-802"
    ARCHIVE_NOT_VALID = "PS-811"
    PRELOAD_FAILED = "PS-812"
    PRELOAD_OTHER_IMAGE = "PS-813"

    # What stops any of them, and the commands.
    STOPPED = "PS-901"
    ANSIBLE_TASK_FAILED = "PS-902"
    MISTAKE_IN_THIS_PROGRAM = "PS-903"
    SAME_RUN_TWICE = "PS-911"
    PAGE_WITHOUT_REPORT = "PS-912"
