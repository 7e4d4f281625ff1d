# flannel-vpc's image, agent and controller in one: docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/flannel-vpc:0.1.0 .
# Each architecture is built on its own: the compiled code that is stored beside the program is one processor's.

# Any Node.js from 20 on starts the build; the one that runs, here and in the end, is the one of package-lock.json.
FROM node:24-bookworm AS build
WORKDIR /opt/flannel-vpc
COPY package.json package-lock.json .npmrc ./
COPY tools/install tools/
RUN tools/install
COPY Makefile tsconfig.json ./
COPY tools tools
COPY src src
COPY lease lease
COPY providers providers
COPY host host
RUN make build
RUN mkdir /image && cp -a --parents bin dist node_modules/node-linux-*/bin/node node_modules/node-linux-*/LICENSE /image

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates iproute2 iptables nftables iputils-ping \
    && rm -rf /var/lib/apt/lists/*
COPY LICENSE /opt/flannel-vpc/
COPY --from=build /image /opt/flannel-vpc
# The agent needs root's capabilities over the network. The controller needs none of root: the manifest gives it another user.
ENTRYPOINT ["/opt/flannel-vpc/bin/flannel-vpc"]
