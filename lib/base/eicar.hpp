// The EICAR test file, which every scanner has to find. Harmless.
#pragma once

#include <string>

namespace icapgate {

// Its 68 bytes, put together at run time: a program or a source that contained them in one piece
// would be taken away by the user's own antivirus.
std::string eicar_text();

}  // namespace icapgate
