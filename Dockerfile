# docs/container.md tells how it is run and what is in it.
FROM debian:12-slim AS build
WORKDIR /src
COPY app/packages app/packages
RUN app/packages --install build image && rm -rf /var/lib/apt/lists/*
COPY CMakeLists.txt CMakePresets.json ./
COPY lib lib
COPY app app
RUN app/build release && app/image-root build/release/icapgate /root/image

# Debian 12's libraries, as far as they are needed, without a shell.
FROM scratch
LABEL org.opencontainers.image.title=icapgate \
      org.opencontainers.image.description="ICAP-scanning reverse proxy" \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /root/image /
COPY LICENSE /usr/share/doc/icapgate/copyright
# Everything is set by the environment: at least ICAPGATE_ORIGIN and ICAPGATE_ICAP.
ENV ICAPGATE_POLICY__SPOOL__DIR=/var/spool/icapgate ICAPGATE_ADMIN=127.0.0.1:8901
VOLUME /var/spool/icapgate
WORKDIR /
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/icapgate", "health"]
ENTRYPOINT ["/usr/local/bin/icapgate"]
