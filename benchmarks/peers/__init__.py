"""The other side of the speed benchmarks: plain scripts over the peers' public interfaces, one JSON line each.

cd benchmarks && python -m peers.hf_trainer --help
"""
