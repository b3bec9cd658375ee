# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
ARG COMMIT=unknown
# schedtrace keeps the scheduler's monitor awake, without which each relayed query costs about twice the CPU: see
# "The runtime setting" in ARCHITECTURE.md. No -trimpath, so that `onewriter version` can show the setting.
RUN CGO_ENABLED=0 go build -buildvcs=false \
      -ldflags "-s -w -X=runtime.godebugDefault=schedtrace=2147483647 -X=main.version=${VERSION} -X=main.commit=${COMMIT}" \
      -o /out/onewriter ./cmd/onewriter \
 && mkdir -p /out/state

FROM scratch
# Authorities for server_tls.mode verify-ca and verify-full without ca_file.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/onewriter /usr/local/bin/onewriter
# The state must outlive the container: mount a volume here.
COPY --from=build --chown=65532:65532 /out/state /var/lib/onewriter
USER 65532:65532
VOLUME ["/var/lib/onewriter"]
EXPOSE 6446 6447 8989
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/onewriter"]
CMD ["serve", "--config", "/etc/onewriter/onewriter.yaml"]
