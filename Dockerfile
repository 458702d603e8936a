FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/holon ./cmd/holon && mkdir /out/files

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/holon /usr/local/bin/holon
# Files that come over FTP wait here; a volume takes its owner from it.
COPY --from=build --chown=65532:65532 /out/files /var/lib/holon
ENTRYPOINT ["/usr/local/bin/holon"]
CMD ["serve", "--addr", "0.0.0.0:8080"]
