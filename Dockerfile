FROM debian:12-slim AS build
WORKDIR /src
COPY app/packages app/packages
RUN app/packages --install build && rm -rf /var/lib/apt/lists/*
COPY CMakeLists.txt CMakePresets.json ./
COPY lib lib
COPY app app
RUN app/build release && cmake --install build/release --strip --prefix /out

FROM debian:12-slim
COPY app/packages /usr/local/lib/icapgate/packages
RUN /usr/local/lib/icapgate/packages --install run && rm -rf /var/lib/apt/lists/* \
    && install -d -m 0700 -o 65532 -g 65532 /var/spool/icapgate
COPY --from=build /out/bin/icapgate /usr/local/bin/icapgate

# Everything is set by the environment: at least ICAPGATE_ORIGIN and ICAPGATE_ICAP.
ENV ICAPGATE_POLICY__SPOOL__DIR=/var/spool/icapgate
VOLUME /var/spool/icapgate
WORKDIR /
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/icapgate"]
