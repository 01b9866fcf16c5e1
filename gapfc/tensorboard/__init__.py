"""What TensorBoard shows of runs, written in its own protos and record format."""
