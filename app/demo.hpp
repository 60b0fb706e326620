// `icapgate demo`: origin, scanner and gateway on loopback. Returns the exit status.
#pragma once

int run_demo(bool once);
