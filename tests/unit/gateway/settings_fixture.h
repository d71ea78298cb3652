/* Loads settings for a test and looks at the problems. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/settings_table.h"

#define NO_ENVIRONMENT ((char *[]){ NULL })
#define ENVIRONMENT(...) ((char *[]){ __VA_ARGS__, NULL })
#define FLAGS(...) ((char *[]){ __VA_ARGS__ })
#define FLAG_COUNT(...) ((int)(sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *)))

/* A file with that text; unlink and free the name. */
static inline char *file_with(const char *text, size_t length)
{
    char *name = strdup("/tmp/sluice-settings-XXXXXX");
    int descriptor = mkstemp(name);
    cr_assert_geq(descriptor, 0);
    cr_assert_eq(write(descriptor, text, length), (ssize_t)length);
    close(descriptor);
    return name;
}

static inline bool mentions(const struct settings_problems *problems, const char *text)
{
    return problems->text.data && memmem(problems->text.data, problems->text.size, text, strlen(text));
}

#define ASSERT_MENTIONS(problems, expected)                                                                  \
    cr_assert(mentions(&(problems), expected), "expected \"%s\" in:\n%.*s", expected,                        \
              (int)(problems).text.size, (problems).text.data ? (problems).text.data : "")

#define ASSERT_LOADED(settings, problems)                                                                    \
    cr_assert((settings) != NULL, "%.*s", (int)(problems).text.size,                                         \
              (problems).text.data ? (problems).text.data : "")
