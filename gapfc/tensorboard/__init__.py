"""What TensorBoard shows about runs, written in its own protos and record format."""
