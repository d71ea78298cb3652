/* A settings file with anything in it is taken, or its problems are told. Input: the file. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "gateway/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    char *environment[] = { NULL };
    int file = memfd_create("settings", MFD_CLOEXEC);
    REQUIRE(file >= 0);
    REQUIRE(write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);

    struct settings_problems problems = { 0 };
    struct settings *settings = settings_load(path, environment, 0, NULL, &problems);
    REQUIRE((settings != NULL) == (problems.count == 0));
    if (settings) {
        struct buffer summary = { 0 };
        settings_append_summary(settings, &summary);
        REQUIRE(summary.size > 0);
        buffer_free(&summary);
    }
    settings_destroy(settings);
    buffer_free(&problems.text);
    close(file);
    return 0;
}
