/* What the process ends with. */
#pragma once

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1, /* could not do it */
    EXIT_CODE_USAGE = 2,  /* arguments or settings are wrong; nothing was tried */
};
