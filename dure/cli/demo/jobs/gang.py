"""Data-parallel training by a gang: every rank learns from its own share of the rows, and all average their gradients.

Softmax regression on scikit-learn's handwritten digits, in plain numpy, with an all-reduce over TCP: rank 0 listens at
MASTER_ADDR:MASTER_PORT (the variables of torchrun), adds up what the others send, and sends the mean back. A rank alone can
do nothing: that is why a gang is placed whole or not at all. At the end all ranks must hold the same weights, bit for bit.
"""
# A tenant's own program: it prints what it finds, and scikit-learn tells no types.
# ruff: noqa: T201
# mypy: ignore-errors

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

RANK, RANKS = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
ADDRESS = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
STEPS = int(os.environ.get("STEPS", "400"))
RATE = 0.5
PATIENCE_S = 60.0  # for a peer that starts up or computes; a gang whose peer is gone ends instead of hanging


def connect():
    """Sockets to the peers: of rank 0 to all others, of the others to rank 0."""
    if RANK == 0:
        with socket.create_server(ADDRESS) as server:
            server.settimeout(PATIENCE_S)
            return [accepted(server) for _ in range(RANKS - 1)]
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return [socket.create_connection(ADDRESS, timeout=PATIENCE_S)]
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)  # rank 0 does not listen yet


def accepted(server):
    peer, _ = server.accept()
    peer.settimeout(PATIENCE_S)
    return peer


def receive(peer, shape):
    wanted = int(np.prod(shape)) * 8
    parts = bytearray()
    while len(parts) < wanted:
        part = peer.recv(wanted - len(parts))
        if not part:
            raise ConnectionError("a rank of the gang is gone")
        parts += part
    return np.frombuffer(bytes(parts)).reshape(shape)


def mean_over_ranks(value, peers):
    """The all-reduce: everyone gets the mean of what all have."""
    if RANK != 0:
        peers[0].sendall(value.tobytes())
        return receive(peers[0], value.shape)
    total = value.copy()
    for peer in peers:
        total += receive(peer, value.shape)
    total /= RANKS
    for peer in peers:
        peer.sendall(total.tobytes())
    return total


def probabilities(features, weights):
    scores = features @ weights
    scores -= scores.max(axis=1, keepdims=True)
    raised = np.exp(scores)
    return raised / raised.sum(axis=1, keepdims=True)


def main():
    features, labels = load_digits(return_X_y=True)
    features = np.column_stack([features / 16.0, np.ones(len(features))])
    train_x, test_x, train_y, test_y = train_test_split(features, labels, test_size=0.25, random_state=7, stratify=labels)
    mine_x, mine_y = train_x[RANK::RANKS], np.eye(10)[train_y[RANK::RANKS]]
    weights = np.zeros((features.shape[1], 10))
    peers = connect()
    print(f"rank {RANK} of {RANKS} learns from {len(mine_x)} of {len(train_x)} rows", flush=True)
    for step in range(1, STEPS + 1):
        gradient = mine_x.T @ (probabilities(mine_x, weights) - mine_y) / len(mine_x)
        weights -= RATE * mean_over_ranks(gradient, peers)
        if step % 100 == 0:
            print(f"rank {RANK} step {step}/{STEPS}", flush=True)
    digest = hashlib.sha256(weights.tobytes()).hexdigest()
    agreed = np.frombuffer(bytes.fromhex(digest), dtype=np.uint8).astype(float)
    same = bool(np.array_equal(mean_over_ranks(agreed, peers), agreed))
    accuracy = float((probabilities(test_x, weights).argmax(axis=1) == test_y).mean())
    result = {"rank": RANK, "ranks": RANKS, "accuracy": round(accuracy, 4), "weights": digest[:16], "same": same}
    print("result " + json.dumps(result), flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
