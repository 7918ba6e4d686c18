//! The variables of `deploy`.

use super::{declare, declare_inputs};
use crate::choice::{Adopt, ConditionalWrites, Encryption, Invalidation, Log, OnFailure, Routing, SourceMaps, Verify};
use crate::format::{
    AccountId, BucketName, ByteSize, DistributionIds, DurationBetween, FileKey, FilePath, Globs, HeaderLine, HttpUrl,
    KeyPrefix, KmsKey, Label, NamePrefix, OneOf, Region, Share, Switch, UrlPath, WholeNumber,
};
use crate::variable::{Group, Owner, Presence, Program, Reader, Variable};

/// Seconds in a day.
const DAY: u64 = 86_400;

const ALL: &[Reader] = &[Reader { program: Program::Deploy, commands: &[] }];
const RUN: &[Reader] = &[Reader { program: Program::Deploy, commands: &["run", "plan"] }];
const WRITERS: &[Reader] = &[Reader { program: Program::Deploy, commands: &["run", "rollback", "prune", "unlock"] }];
const EXECUTED: &[Reader] = &[Reader { program: Program::Deploy, commands: &["run", "rollback"] }];
const SWITCHERS: &[Reader] = &[Reader { program: Program::Deploy, commands: &["run", "plan", "rollback", "prune"] }];

const VERIFIERS: &[Reader] = &[Reader { program: Program::Deploy, commands: &["run", "rollback", "verify"] }];

/// What most of these variables have in common.
const OURS: Variable = Variable {
    name: "",
    group: Group::Running,
    summary: "",
    details: "",
    format: &Switch,
    presence: Presence::Optional(""),
    example: "",
    secret: false,
    owner: Owner::Ours,
    read_by: ALL,
};

declare_inputs! {
    /// The variables of `deploy`, in the order of the documentation.
    DEPLOY from OURS;
    /// The texts of the variables of `deploy`.
    struct DeployInputs;

    DEPLOY_SOURCE as deploy_source: FilePath = FilePath("directory"),
    "The directory of built files" {
        group: Group::Release,
        details: "Every file below it becomes an object; its path within the directory becomes the \
            key. The deployment image sets it to the site it carries.",
        presence: Presence::Required("Set it to the directory that holds the built site"),
        example: "/site",
        read_by: RUN,
    }
    DEPLOY_VERSION as deploy_version: Label = Label,
    "The version of the site" {
        group: Group::Release,
        details: "It names the release in the history, and `deploy rollback --to` finds it by this \
            name. Where it is a SemVer version, an older one does not replace a newer one. The \
            deployment image sets it.",
        presence: Presence::Required("Set it to the version of the site, such as 1.4.2"),
        example: "1.4.2",
        read_by: RUN,
    }
    DEPLOY_BUILD as deploy_build: WholeNumber = WholeNumber { min: 0, max: u64::MAX },
    "A number that grows with every build" {
        group: Group::Release,
        details: "Where the live release and the new one both have one, the lower does not replace \
            the higher, whatever their versions say. The deployment image sets it to the number of \
            the pipeline run that cut it.",
        presence: Presence::Optional("releases are ordered by version alone"),
        example: "1287",
        read_by: RUN,
    }
    DEPLOY_COMMIT as deploy_commit: Label = Label,
    "The commit that the site was built from" {
        group: Group::Release,
        details: "Recorded with the release, and shown by `deploy history`. The deployment image sets it to the commit \
            that it was cut from.",
        presence: Presence::Optional("none is recorded"),
        example: "7f2c0a91b3d4e5f60718293a4b5c6d7e8f901a2b",
        read_by: RUN,
    }
    DEPLOY_ENVIRONMENT as deploy_environment: Label = Label,
    "The name of the environment" {
        group: Group::Release,
        details: "Recorded in the release and shown in logs and results, such as `staging`. A \
            deployment is refused (exit code 7) where the live release was deployed to another one; \
            see `DEPLOY_ALLOW_ENVIRONMENT_CHANGE`.",
        presence: Presence::Optional("none is recorded, and none compared"),
        example: "staging",
    }
    DEPLOY_EXECUTION as deploy_execution: Label = Label,
    "The execution of the pipeline that this run belongs to" {
        group: Group::Release,
        details: "The same for the deployment and for the rollback step after it; Harness has it as \
            `<+pipeline.executionId>`. It is recorded with what a run makes live, and `deploy \
            rollback --if-live VERSION` then undoes only what this execution made live.",
        presence: Presence::Optional("none is recorded; `--if-live` goes by release or version alone"),
        example: "kA1bW0xTSVqcRkXo1l9u2g",
        read_by: EXECUTED,
    }
    DEPLOY_RULES as deploy_rules: FilePath = FilePath("TOML file"),
    "A file of rules by glob" {
        group: Group::Release,
        details: "The rules set headers, compression and redirects of the files that a glob \
            matches, and leave files out. [The rules file](rules.md) has every key, with examples.",
        presence: Presence::Optional("the built-in rules alone hold"),
        example: "/site-rules.toml",
        read_by: RUN,
    }
    DEPLOY_SITE_MANIFEST as deploy_site_manifest: FilePath = FilePath("JSON file"),
    "The manifest that was written when the image was cut" {
        group: Group::Release,
        details: "Files of the site that are as it says are not read to find out what has changed; what is uploaded \
            is checked all the same. A site that is not as it says is refused. The deployment image sets it; \
            set it to nothing to deploy another directory from within the image.",
        presence: Presence::Optional("every file is read"),
        example: "/site.manifest.json",
        read_by: RUN,
    }

    DEPLOY_BUCKET as deploy_bucket: BucketName = BucketName,
    "The S3 bucket the site is served from" {
        group: Group::Target,
        details: "The name alone, without `s3://`.",
        presence: Presence::Required("Set it to the name of the S3 bucket the site is served from"),
        example: "webapp-production",
    }
    DEPLOY_PREFIX as deploy_prefix: KeyPrefix = KeyPrefix { may_be_empty: true },
    "The place of the site within the bucket" {
        group: Group::Target,
        details: "Put before every key. A leading slash is dropped and a trailing one added, so \
            `app` never touches `app2/`. `/` stands for the top of the bucket.",
        presence: Presence::Default("/"),
        example: "app/",
    }
    DEPLOY_URL_PREFIX as deploy_url_prefix: UrlPath = UrlPath,
    "The URL path under which the distribution serves the prefix" {
        group: Group::Target,
        details: "Invalidation paths are made from it. Set it where the distribution has an origin \
            path: with the origin path `/app` and `DEPLOY_PREFIX=app/` it is `/`. Write it plainly, \
            not percent-encoded; missing slashes at its ends are added.",
        presence: Presence::Derived("`/` and `DEPLOY_PREFIX`"),
        example: "/",
    }
    DEPLOY_ROUTING as deploy_routing: OneOf<Routing> = OneOf::<Routing>::new(),
    "Which file answers an address that no file has as its name" {
        group: Group::Target,
        details: "It tells what the distribution does already, so that every address of a changed page is invalidated \
            and looked at; it does not set the distribution up. `exact`: nothing but `about/index.html` for `/about/`. \
            `directory`: `about/index.html` for `/about/` and `/about`. `html`: `about.html` for `/about`, and \
            `about/index.html` for `/about/`. `spa`: the root document for every address without a file; a changed one is \
            invalidated with everything under `DEPLOY_URL_PREFIX`. S3 and CloudFront do none of it by themselves: \
            [addresses](operations.md#addresses).",
        presence: Presence::Default("exact"),
        example: "directory",
    }
    DEPLOY_REGION as deploy_region: Region = Region,
    "The bucket's region" {
        group: Group::Target,
        details: "Needed with every store, also one that is not AWS's (such as `us-east-1` or what \
            its manual says). It is never guessed from a profile or an instance.",
        presence: Presence::Derived("`AWS_REGION`, else `AWS_DEFAULT_REGION`; one of the three must be set"),
        example: "eu-central-1",
    }
    DEPLOY_FORCE_PATH_STYLE as deploy_force_path_style: Switch = Switch,
    "Whether the bucket's name goes into the path, not the host name" {
        group: Group::Target,
        details: "Many S3 servers other than AWS's need it, together with `AWS_ENDPOINT_URL_S3`.",
        presence: Presence::Default("false"),
        example: "true",
    }
    DEPLOY_SSE as deploy_sse: OneOf<Encryption> = OneOf::<Encryption>::new(),
    "How S3 is asked to encrypt what is written" {
        group: Group::Target,
        details: "Set it where a bucket's policy denies writes that do not ask for encryption. It goes with every \
            object that is written, the state area's too: `AES256` is by keys of S3, `aws:kms` by a key of AWS KMS. \
            Objects that are there already stay as they are until they are written again.",
        presence: Presence::Optional("the bucket's own default holds"),
        example: "aws:kms",
        read_by: WRITERS,
    }
    DEPLOY_SSE_KMS_KEY_ID as deploy_sse_kms_key_id: KmsKey = KmsKey,
    "The KMS key to encrypt with" {
        group: Group::Target,
        details: "Only with `DEPLOY_SSE=aws:kms`. Policies compare it with the key's ARN. The deployer needs \
            `kms:GenerateDataKey` and `kms:Decrypt` on the key: [IAM](iam.md).",
        presence: Presence::Optional("with `aws:kms` it is the key that AWS keeps for S3 in the account"),
        example: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        read_by: WRITERS,
    }
    DEPLOY_BUCKET_OWNER as deploy_bucket_owner: AccountId = AccountId,
    "The AWS account that the bucket must belong to" {
        group: Group::Target,
        details: "Every request names it, those to `DEPLOY_STATE_BUCKET` too, and S3 denies requests to a bucket of \
            another account (exit code 3). It guards against a bucket that was deleted and that somebody else \
            created anew under its name.",
        presence: Presence::Optional("the account is not checked"),
        example: "123456789012",
    }

    DEPLOY_VALUES_PREFIX as deploy_values_prefix: NamePrefix = NamePrefix,
    "What the names of variables for the site begin with" {
        group: Group::Values,
        details: "`WEBAPP_API_URL` fills the placeholder `__WEBAPP_API_URL__`. A placeholder that \
            no variable fills stops the run, a variable that nobody uses is a warning.",
        presence: Presence::Default("WEBAPP_"),
        example: "SHOP_",
        read_by: RUN,
    }
    DEPLOY_VALUES_JSON as deploy_values_json: FileKey = FileKey,
    "A JSON file to make of the values" {
        group: Group::Values,
        details: "Its path within the site. The file is one object, its members named like the \
            variables.",
        presence: Presence::Optional("none is made"),
        example: "env.json",
        read_by: RUN,
    }
    DEPLOY_VALUES_SCRIPT as deploy_values_script: FileKey = FileKey,
    "A script to make of the values" {
        group: Group::Values,
        details: "Its path within the site. The script sets `globalThis.__ENV__` to the object \
            that `DEPLOY_VALUES_JSON` holds.",
        presence: Presence::Optional("none is made"),
        example: "env.js",
        read_by: RUN,
    }
    DEPLOY_TEMPLATES as deploy_templates: Globs = Globs,
    "Files in which placeholders are filled in" {
        group: Group::Values,
        details: "Globs, separated by commas; only HTML and JSON files can be filled in.",
        presence: Presence::Optional("every HTML file, and the JSON files at the top"),
        example: "index.html,config/*.json",
        read_by: RUN,
    }
    DEPLOY_DISTRIBUTION_IDS as deploy_distribution_ids: DistributionIds = DistributionIds,
    "The CloudFront distributions that serve the site" {
        group: Group::Invalidation,
        details: "All of them are invalidated. Ids, not domain names.",
        presence: Presence::Optional("nothing is invalidated"),
        example: "E2QWRUHEXAMPLE,E3AWRUHEXAMPLE",
        read_by: SWITCHERS,
    }
    DEPLOY_INVALIDATION as deploy_invalidation: OneOf<Invalidation> = OneOf::<Invalidation>::new(),
    "Which paths are invalidated" {
        group: Group::Invalidation,
        details: "`exact`: those that changed, directories' own URLs included. `variants`: the same \
            with every query string, for distributions that cache by it. `all`: everything under \
            `DEPLOY_URL_PREFIX`, as one wildcard.",
        presence: Presence::Default("exact"),
        example: "variants",
        read_by: SWITCHERS,
    }
    DEPLOY_INVALIDATION_TIMEOUT as deploy_invalidation_timeout: DurationBetween = DurationBetween::seconds(1, DAY),
    "How long to wait for invalidations to complete" {
        group: Group::Invalidation,
        details: "When it has passed, the run ends with exit code 5; the next run waits on.",
        presence: Presence::Default("15m"),
        example: "30m",
        read_by: SWITCHERS,
    }

    DEPLOY_PUBLIC_URL as deploy_public_url: HttpUrl = HttpUrl,
    "The URL under which visitors find the site" {
        group: Group::Verification,
        details: "Of the place where the root document is served. Where it is set, the site is \
            looked at after every switch.",
        presence: Presence::Optional("the site is not looked at"),
        example: "https://www.example.com/",
        read_by: VERIFIERS,
    }
    DEPLOY_VERIFY as deploy_verify: OneOf<Verify> = OneOf::<Verify>::new(),
    "Whether the site is looked at after the switch" {
        group: Group::Verification,
        details: "`auto`: where `DEPLOY_PUBLIC_URL` is set; a site that cannot be reached or asks \
            for a login, or a state area that anybody can read, is a warning. `required`: that is a \
            failure (exit code 6), without a rollback; a run with nothing to switch looks too. `off`: \
            never.",
        presence: Presence::Default("auto"),
        example: "off",
        read_by: VERIFIERS,
    }
    DEPLOY_VERIFY_HEADER as deploy_verify_header: HeaderLine = HeaderLine,
    "A header for environments that are protected" {
        group: Group::Verification,
        details: "Sent with every request that looks at the site, as `Name: value`.",
        presence: Presence::Optional("none is sent"),
        example: "Authorization: Basic Zm9vOmJhcg==",
        secret: true,
        read_by: VERIFIERS,
    }
    DEPLOY_VERIFY_TIMEOUT as deploy_verify_timeout: DurationBetween = DurationBetween::seconds(0, 3_600),
    "How long the site may take to show the release" {
        group: Group::Verification,
        details: "What is not as released is fetched again until this time has passed, and once more at \
            the least. Only then is it believed.",
        presence: Presence::Default("10s"),
        example: "1m",
        read_by: VERIFIERS,
    }
    DEPLOY_VERIFY_IGNORE as deploy_verify_ignore: Globs = Globs,
    "Files that are not looked at" {
        group: Group::Verification,
        details: "Globs, separated by commas, of files that something else than the bucket answers or \
            rewrites: a CDN that injects into HTML, or answers `robots.txt`.",
        presence: Presence::Optional("every file may be looked at"),
        example: "robots.txt,legal/*.html",
        read_by: VERIFIERS,
    }
    DEPLOY_ON_FAILURE as deploy_on_failure: OneOf<OnFailure> = OneOf::<OnFailure>::new(),
    "What is done when the live site is not what was deployed" {
        group: Group::Verification,
        details: "`rollback`: the release that was live before is made live again. `keep`: the new \
            one stays. The exit code is 6 either way.",
        presence: Presence::Default("rollback"),
        example: "keep",
        read_by: RUN,
    }
    DEPLOY_MAX_SHRINK as deploy_max_shrink: Share = Share,
    "The largest share of the live release's files that a new one may lack" {
        group: Group::Safety,
        details: "A site that shrinks by more is refused: half a build looks like that. `100%` \
            switches the check off.",
        presence: Presence::Default("50%"),
        example: "80%",
        read_by: RUN,
    }
    DEPLOY_SOURCE_MAPS as deploy_source_maps: OneOf<SourceMaps> = OneOf::<SourceMaps>::new(),
    "What is done with source maps" {
        group: Group::Safety,
        details: "Who has a source map can read the source it was made from.",
        presence: Presence::Default("warn"),
        example: "refuse",
        read_by: RUN,
    }
    DEPLOY_ADOPT as deploy_adopt: OneOf<Adopt> = OneOf::<Adopt>::new(),
    "What to do with a foreign object that has a key of ours and other content" {
        group: Group::Safety,
        details: "`refuse` stops the deploy. `take` archives the object's bytes and headers, from \
            where they can be restored, and overwrites it: for the first deploy into a bucket that \
            something else has filled. Foreign objects elsewhere are never touched.",
        presence: Presence::Default("refuse"),
        example: "take",
        read_by: RUN,
    }
    DEPLOY_ALLOW_OLDER as deploy_allow_older: Switch = Switch,
    "Whether an older release may replace a newer one" {
        group: Group::Safety,
        details: "Overrides the order by `DEPLOY_BUILD` and `DEPLOY_VERSION` for this run. To go \
            back to a release that is still retained, use `deploy rollback`.",
        presence: Presence::Default("false"),
        example: "true",
        read_by: RUN,
    }
    DEPLOY_ALLOW_ENVIRONMENT_CHANGE as deploy_allow_environment_change: Switch = Switch,
    "Whether a release may take the place of another environment's" {
        group: Group::Safety,
        details: "Lets a deployment pass whose `DEPLOY_ENVIRONMENT` is not that of the live release. \
            For one run: afterwards the target is this environment's.",
        presence: Presence::Default("false"),
        example: "true",
        read_by: RUN,
    }
    DEPLOY_CONDITIONAL_WRITES as deploy_conditional_writes: OneOf<ConditionalWrites> = OneOf::<ConditionalWrites>::new(),
    "Whether the store must support conditional writes" {
        group: Group::Safety,
        details: "The lease and every switch stand on them, and some stores ignore the condition \
            without a word, so they are tried before the first write. `require` refuses such a \
            store. `unsafe-off` uses it with a warning: two deploys at once may then harm each \
            other, so something else must keep them apart.",
        presence: Presence::Default("require"),
        example: "unsafe-off",
        read_by: WRITERS,
    }

    DEPLOY_STATE_PREFIX as deploy_state_prefix: KeyPrefix = KeyPrefix { may_be_empty: false },
    "The place of the state area, within `DEPLOY_PREFIX`" {
        group: Group::State,
        details: "With `DEPLOY_STATE_BUCKET`, within that bucket instead. A site with files of its own there is refused. Visitors must not be able to read \
            it. Do not change it once something was deployed: the history is not found elsewhere.",
        presence: Presence::Default(".deploy/"),
        example: ".releases/",
    }
    DEPLOY_STATE_BUCKET as deploy_state_bucket: BucketName = BucketName,
    "Another bucket for the state area" {
        group: Group::State,
        details: "Several targets can share one: within `DEPLOY_STATE_PREFIX` their states are kept \
            apart by bucket and prefix of the target. It must be in the same region.",
        presence: Presence::Optional("the state area is in `DEPLOY_BUCKET`"),
        example: "webapp-state",
    }
    DEPLOY_LEASE as deploy_lease: DurationBetween = DurationBetween::seconds(1, 3_600),
    "How long the lease of a deploy lasts unless it is renewed" {
        group: Group::State,
        details: "It is renewed while the run lives; after a kill, the next run waits for it to \
            expire. It must be longer than \
            `DEPLOY_REQUEST_TIMEOUT`.",
        presence: Presence::Default("60s"),
        example: "90s",
        read_by: WRITERS,
    }
    DEPLOY_LEASE_WAIT as deploy_lease_wait: DurationBetween = DurationBetween::seconds(0, DAY),
    "How long to wait for another deploy's lease" {
        group: Group::State,
        details: "When it has passed, the run ends with exit code 5. The default is longer than the \
            lease, so that the retry of a killed Job gets through by itself.",
        presence: Presence::Derived("twice `DEPLOY_LEASE` and one minute"),
        example: "10m",
        read_by: WRITERS,
    }
    DEPLOY_KEEP_RELEASES as deploy_keep_releases: WholeNumber = WholeNumber { min: 0, max: 1_000 },
    "How many releases before the live one are retained" {
        group: Group::State,
        details: "To each of them a rollback is possible, and their files stay fetchable. With `0` \
            there is no way back.",
        presence: Presence::Default("5"),
        example: "10",
        read_by: SWITCHERS,
    }
    DEPLOY_GRACE as deploy_grace: DurationBetween = DurationBetween::seconds(0, 3_650 * DAY),
    "How long a superseded file stays at the least" {
        group: Group::State,
        details: "Counted from the moment a release without it went live. Visitors who loaded an \
            older page fetch its files in that time.",
        presence: Presence::Default("7d"),
        example: "30d",
        read_by: SWITCHERS,
    }

    DEPLOY_CONCURRENCY as deploy_concurrency: WholeNumber = WholeNumber { min: 1, max: 1_024 },
    "The most requests to the store at once" {
        details: "When the store asks to slow down, fewer are made. On a slow line fewer uploads are under way.",
        presence: Presence::Default("64"),
        example: "16",
    }
    DEPLOY_PART_SIZE as deploy_part_size: ByteSize = ByteSize { min: 5 * bytesize::MIB, max: 5 * bytesize::GIB },
    "The size of a part of a large file" {
        details: "Files of more than twice this size are uploaded in parts. A file that would need more than 10,000 parts gets larger ones. \
            On a line that was seen to be slow parts are smaller, 5 MiB at the least.",
        presence: Presence::Default("8MiB"),
        example: "16MiB",
        read_by: SWITCHERS,
    }
    DEPLOY_BUFFER as deploy_buffer: ByteSize = ByteSize { min: 5 * bytesize::MIB, max: bytesize::TIB },
    "The most bytes of file content held in memory at once" {
        details: "At least `DEPLOY_PART_SIZE`.",
        presence: Presence::Default("64MiB"),
        example: "128MiB",
        read_by: SWITCHERS,
    }
    DEPLOY_REQUEST_TIMEOUT as deploy_request_timeout: DurationBetween = DurationBetween {
        min: std::time::Duration::from_millis(100),
        max: std::time::Duration::from_hours(1),
    },
    "How long one request may take before it is tried again" {
        details: "A large upload has that time since it last moved, and more for what its connection buffers. \
            Who takes over a lease waits this long first, so it must be shorter than `DEPLOY_LEASE`.",
        presence: Presence::Default("30s"),
        example: "20s",
    }
    DEPLOY_RETRY_TIMEOUT as deploy_retry_timeout: DurationBetween = DurationBetween::seconds(0, 3_600),
    "How long a request that keeps failing is tried again" {
        details: "The store may be busy or out of reach that long. The run then ends with exit code 5 and \
            the last answer. Who holds the lease must be able to renew it as well, within `DEPLOY_LEASE`.",
        presence: Presence::Default("3m"),
        example: "10m",
    }
    DEPLOY_TERMINATION_LOG as deploy_termination_log: FilePath = FilePath("file"),
    "A file for the result in one line" {
        details: "Kubernetes shows it as the reason why a pod ended. A file that cannot be written \
            is a warning.",
        presence: Presence::Derived("`/dev/termination-log` where that exists"),
        example: "/tmp/termination-log",
    }
    DEPLOY_LOG as deploy_log: OneOf<Log> = OneOf::<Log>::new(),
    "How progress and results are written" {
        details: "`text` is for people, `json` writes one JSON object per line and the result as \
            the last one. `auto` is `text` at a terminal and `json` elsewhere.",
        presence: Presence::Default("auto"),
        example: "json",
    }
}
