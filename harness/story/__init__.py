"""The whole way of a release, run with real parts: git tag, image, trigger, stages, Jobs, buckets, browser.

`python -m story` in `harness/` (or `scripts/story`). What stands for what it is not:

| of the story | stands for |
|---|---|
| docker-registry | ECR |
| the scripts in `examples/webapp/bitbucket-pipelines.yml`, run by bash | Bitbucket |
| `pipeline.Run`, which walks `harness/pipeline.yaml` | Harness |
| podman, with the pods of the rendered Jobs | Kubernetes |
| ministack | S3, CloudFront and IAM |
"""
