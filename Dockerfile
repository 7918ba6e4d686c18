# The base image: `deploy` and what it needs, nothing else. `image-tagger cut` puts a built site on it.
#
#   docker build --build-arg VERSION=1.0.0 --build-arg REVISION="$(git rev-parse HEAD)" \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" -t registry.example.com/deploy:1.0.0 .
#
# Buildah takes the same file: docs/image.md.
ARG RUST_IMAGE=rust:1.95-slim-bookworm

FROM ${RUST_IMAGE} AS build
ARG SOURCE_DATE_EPOCH
WORKDIR /build
# A C compiler and make, for parts of the TLS library and the allocator, and the certificates of public authorities.
RUN if ! command -v cc >/dev/null || ! command -v make >/dev/null || [ ! -f /etc/ssl/certs/ca-certificates.crt ]; then \
      apt-get update && apt-get install -y --no-install-recommends build-essential ca-certificates; \
    fi
# A static `deploy` that is built already, by its path in the context; without it, it is built here.
ARG PROGRAM=
COPY . .
# Static: the image has no C library. With --target the flag is for the program alone, not for build scripts.
# Without default features the stand-ins behind `--local` stay out. The paths in panic messages are made those of any
# build.
RUN program="$PROGRAM" \
 && if [ -z "$program" ]; then \
      target="$(rustc -vV | sed -n 's/^host: //p')" \
   && RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/build=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
      cargo build --release --locked --package deploy-cli --no-default-features --target "$target" --target-dir /out \
   && program="/out/$target/release/deploy"; \
    fi \
 && install -D -m 0755 "$program" /root-of-image/usr/bin/deploy \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/ca-certificates.crt \
 && printf 'deploy:x:65532:65532::/:/usr/bin/deploy\n' > /root-of-image/etc/passwd \
 && printf 'deploy:x:65532:\n' > /root-of-image/etc/group \
 && printf 'hosts: files dns\n' > /root-of-image/etc/nsswitch.conf \
 && mkdir -m 1777 /root-of-image/tmp \
 && if [ -n "$SOURCE_DATE_EPOCH" ]; then find /root-of-image -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +; fi

FROM scratch
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="deploy" \
      org.opencontainers.image.description="Puts a built web site live on S3 and CloudFront" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /root-of-image/ /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/bin/deploy"]
