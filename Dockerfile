# flannel-vpc's image, agent and controller in one; docs/image.md has what is in it and why.
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/flannel-vpc:0.1.0 .
# Each architecture is built on its own: the compiled code that is stored beside the program is one processor's.

# For a release name both by digest: --build-arg DEBIAN=debian:12-slim@sha256:…
ARG NODE=node:24-bookworm
ARG DEBIAN=debian:12-slim

# Any Node.js from 20 on starts the build; the one that runs, here and in the end, is the one of package-lock.json.
FROM ${NODE} AS build
WORKDIR /opt/flannel-vpc
COPY package.json package-lock.json .npmrc ./
COPY tools/install tools/
RUN tools/install
COPY Makefile tsconfig.json LICENSE ./
COPY tools tools
COPY src src
COPY lease lease
COPY providers providers
COPY host host
RUN make build
RUN mkdir /image && cp -a --parents bin dist node_modules/node-linux-*/bin/node node_modules/node-linux-*/LICENSE /image
# The SBOM's time, where it is to have one.
ARG SOURCE_DATE_EPOCH
RUN make documents TO=/documents

FROM ${DEBIAN}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="flannel-vpc" \
      org.opencontainers.image.description="flannel leases as VPC route-table entries: agent and controller" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates iproute2 iptables nftables iputils-ping \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && mkdir -p /usr/share/doc/flannel-vpc \
    && dpkg-query --show >/usr/share/doc/flannel-vpc/debian-packages.txt
COPY LICENSE /usr/share/doc/flannel-vpc/
# Node.js is most of it and seldom changes: a layer of its own.
COPY --from=build /image/node_modules /opt/flannel-vpc/node_modules
COPY --from=build /documents /usr/share/doc/flannel-vpc
COPY --from=build /image/bin /opt/flannel-vpc/bin
COPY --from=build /image/dist /opt/flannel-vpc/dist
# The agent is root with two capabilities, which the programs that it starts must have too; the controller needs none of root, and the
# manifest gives it another user. There is no HEALTHCHECK: /healthz and /readyz are for whoever runs it.
ENTRYPOINT ["/opt/flannel-vpc/bin/flannel-vpc"]
