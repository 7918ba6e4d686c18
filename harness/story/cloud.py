"""An account with a bucket, a distribution and a role for each environment."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session
from botocore.exceptions import ClientError

from check.files import ROOT

from .process import free_port, server

ACCOUNT = "000000000000"


@dataclass
class Site:
    """Where an environment is: its bucket, its distribution, and the keys of the role that may deploy there."""

    cloud: Cloud
    bucket: str
    region: str
    distribution: str
    domain: str
    keys: tuple[str, str]

    @property
    def url(self) -> str:
        """Where visitors find it."""
        return f"http://{self.domain}:{self.cloud.port}/"

    def get(self, path: str) -> tuple[int, bytes]:
        """What a visitor gets."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.cloud.port}/{path}", headers={"Host": self.domain})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def version(self) -> str | None:
        """The version that is live; nothing before the first."""
        status, body = self.get("version.json")
        return json.loads(body)["version"] if status == 200 else None

    def objects(self) -> dict[str, tuple[str, str]]:
        """Everything in the bucket, with what changes when it is written."""
        pages = self.cloud.client("s3", self.region).get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {
            one["Key"]: (one["ETag"], str(one["LastModified"])) for page in pages for one in page.get("Contents", ())
        }

    def may_list(self, bucket: str) -> bool:
        """Whether this environment's role may look into a bucket."""
        try:
            self.cloud.client("s3", self.region, self.keys).list_objects_v2(Bucket=bucket, Prefix="index")
            return True
        except ClientError as error:
            if error.response["Error"]["Code"] in ("AccessDenied", "403"):
                return False
            raise


@dataclass
class Cloud:
    """ministack, with signatures and policies enforced."""

    port: int

    def client(self, service: str, region: str, keys: tuple[str, str] = ("test", "test")) -> Any:
        """By default its root, which may do everything."""
        return botocore.session.get_session().create_client(
            service,
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            config=botocore.config.Config(s3={"addressing_style": "path"}),
        )

    def site(self, environment: str, bucket: str, region: str) -> Site:
        """Makes what an environment needs. `/api/*` is not the site's: it goes to the API, as it often does."""
        api = f"{bucket}-api"
        s3 = self.client("s3", region)
        for name in (bucket, api):
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_object(Bucket=api, Key="api/status.json", Body=b'{"from": "the API"}', ContentType="application/json")
        identifier, domain = self._distribution(region, bucket, api)
        for name in (bucket, api):
            s3.put_bucket_policy(Bucket=name, Policy=json.dumps(_readable(name, identifier)))
        iam = self.client("iam", region)
        user = f"webapp-deploy-{environment}"
        iam.create_user(UserName=user)
        policy = _documented("cloudfront:CreateInvalidation", bucket, identifier)
        iam.put_user_policy(UserName=user, PolicyName="deploy", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return Site(self, bucket, region, identifier, domain, (key["AccessKeyId"], key["SecretAccessKey"]))

    def _distribution(self, region: str, bucket: str, api: str) -> tuple[str, str]:
        cloudfront = self.client("cloudfront", region)
        control = cloudfront.create_origin_access_control(
            OriginAccessControlConfig={
                "Name": bucket,
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4",
            }
        )
        origins = [
            {
                "Id": name,
                "DomainName": f"{name}.s3.{region}.amazonaws.com",
                "OriginAccessControlId": control["OriginAccessControl"]["Id"],
                "S3OriginConfig": {"OriginAccessIdentity": ""},
            }
            for name in (bucket, api)
        ]
        behaviour = {
            "ViewerProtocolPolicy": "allow-all",
            "MinTTL": 0,
            "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
        }
        created = cloudfront.create_distribution(
            DistributionConfig={
                "CallerReference": bucket,
                "Comment": bucket,
                "Enabled": True,
                "DefaultRootObject": "index.html",
                "Origins": {"Quantity": 2, "Items": origins},
                "DefaultCacheBehavior": {"TargetOriginId": bucket, **behaviour},
                "CacheBehaviors": {
                    "Quantity": 1,
                    "Items": [{"PathPattern": "/api/*", "TargetOriginId": api, **behaviour}],
                },
            }
        )["Distribution"]
        return created["Id"], created["DomainName"]


def _documented(what: str, bucket: str, distribution: str) -> Any:
    """The policy in docs/iam.md that has `what` in it, for a site at the top of a bucket."""
    blocks = [block.split("```")[0] for block in (ROOT / "docs/iam.md").read_text().split("```json")[1:]]
    [block] = [block for block in blocks if what in block]
    block = block.replace("/DISTRIBUTION", f"/{distribution}").replace("PREFIX", "")
    return json.loads(block.replace("BUCKET", bucket).replace("ACCOUNT", ACCOUNT))


def _readable(bucket: str, distribution: str) -> dict[str, Any]:
    """A bucket policy: the distribution reads all but the state area."""
    source = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{distribution}"
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": source}},
    }
    return {"Version": "2012-10-17", "Statement": [allow, _documented('"Deny"', bucket, distribution)]}


@contextlib.contextmanager
def cloud(program: Path, folder: Path) -> Iterator[Cloud]:
    """Starts one. By default it listens on every interface and checks nothing."""
    port = free_port()
    environment = {"BIND_HOST": "127.0.0.1", "AUTH": "true", "LOG_LEVEL": "WARNING", "GATEWAY_PORT": str(port)}
    with server("ministack", [str(program)], environment, f"http://127.0.0.1:{port}/_ministack/health", folder):
        yield Cloud(port)
