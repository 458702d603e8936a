#!/bin/sh
# Fetches the files of GraphiQL and React that Holon serves. They come out of the
# npm packages as they are; a file whose SHA-256 is not the one below is refused.
# To take a newer version, change the version and the sums, and NOTICE with them.
set -eu
cd "$(dirname "$0")/assets/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # package@version file sha256
	archive=$(npm pack --silent --pack-destination "$work" "$1")
	tar -xzf "$work/$archive" -C "$work" "package/$2"
	name=$(basename "$2")
	echo "$3  $work/package/$2" | sha256sum --check --quiet
	mv "$work/package/$2" "$name"
	echo "$name  $1"
}

fetch graphiql@4.1.2 graphiql.min.js 867226ba8af5ce7949903fc53932f78dac9f4bfc6cc8da0fd3869b8bc6c5256b
fetch graphiql@4.1.2 graphiql.min.css 30487e07635d312a63f647b140d37740a73c53332b0975bf4b1fe985ca6ec885
fetch react@18.3.1 umd/react.production.min.js d949f1c3687aedadcedac85261865f29b17cd273997e7f6b2bfc53b2f9d4c4dd
fetch react-dom@18.3.1 umd/react-dom.production.min.js 35f4f974f4b2bcd44da73963347f8952e341f83909e4498227d4e26b98f66f0d
fetch graphql-ws@6.4.2 umd/graphql-ws.min.js 5f1e250bdea0a551d58272048281dbf5b2fb69faa120160bab49485c72b6f24d
