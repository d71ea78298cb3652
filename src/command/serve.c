#include "command/serve.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "command/dev_demo.h"
#include "command/dev_redis.h"
#include "command/options.h"
#include "gateway/event_loop.h"
#include "gateway/gateway.h"
#include "gateway/gateway_access.h"
#include "gateway/settings.h"

enum { SIGNAL_TERMINATE, SIGNAL_INTERRUPT, SIGNAL_RELOAD, SIGNALS };

struct serve {
    const char *version;
    char *const *environment;
    /* arguments */
    const char *config_file;
    bool is_check, is_dev;
    char **flags; /* what is left of the arguments: settings */
    int flag_count;
    /* what runs */
    struct settings *settings;
    struct log *log;
    struct event_base *base;
    struct event *signals[SIGNALS];
    struct dev_redis *dev_redis;
    struct gateway *gateway;
    struct dev_demo *demo;
    bool is_stopping;
    enum exit_code exit_code;
};

/* ---- settings ---- */

static bool read_arguments(struct serve *serve, int argument_count, char *const *arguments)
{
    serve->flags = calloc((size_t)argument_count + 1, sizeof(*serve->flags));
    if (!serve->flags) {
        fputs("sluice: memory is short\n", stderr);
        return false;
    }
    for (char *const *entry = serve->environment; *entry; entry++)
        if (strncmp(*entry, "SLUICE_CONFIG=", 14) == 0 && (*entry)[14])
            serve->config_file = *entry + 14;
    for (int i = 0; i < argument_count; i++) {
        bool is_missing;
        const char *config = option_value("--config", argument_count, arguments, &i, &is_missing);
        if (is_missing) {
            fputs("sluice: --config needs a file, such as --config config/sluice.yml\n", stderr);
            return false;
        }
        if (config)
            serve->config_file = config;
        else if (strcmp(arguments[i], "--check") == 0)
            serve->is_check = true;
        else if (strcmp(arguments[i], "--dev") == 0)
            serve->is_dev = true;
        else
            serve->flags[serve->flag_count++] = arguments[i];
    }
    return true;
}

static struct settings *load_settings(const struct serve *serve, struct settings_problems *problems)
{
    struct settings *settings =
        settings_load(serve->config_file, serve->environment, serve->flag_count, serve->flags, problems);
    if (settings && serve->dev_redis &&
        !settings_replace_redis_url(settings, dev_redis_url(serve->dev_redis), "--dev")) {
        settings_destroy(settings);
        return NULL;
    }
    return settings;
}

static void print_problems(const struct settings_problems *problems)
{
    fwrite(problems->text.data, 1, problems->text.size, stderr);
    fprintf(stderr, "sluice: %u problem%s with the settings; nothing was started\n", problems->count,
            problems->count == 1 ? "" : "s");
}

static enum exit_code check(const struct serve *serve)
{
    struct buffer summary = { 0 };
    settings_append_summary(serve->settings, &summary);
    printf("sluice %s would run with%s%s:\n\n", serve->version, serve->config_file ? " " : "",
           serve->config_file ? serve->config_file : "");
    settings_append_warnings(serve->settings, &summary);
    fwrite(summary.data, 1, summary.size, stdout);
    buffer_reset(&summary);
    bool is_sound = gateway_access_append_summary(serve->settings, &summary);
    if (is_sound)
        printf("\nWho may do what:\n%.*s", (int)summary.size, summary.data);
    else
        fprintf(stderr, "sluice: %.*s", (int)summary.size, summary.data);
    buffer_free(&summary);
    if (!is_sound)
        return EXIT_CODE_USAGE;
    return fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

static void log_lines(struct log *log, enum log_level level, const char *message, const struct buffer *lines)
{
    const char *line = lines->data, *end = line ? line + lines->size : NULL;
    while (line < end) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((line_end ? line_end : end) - line);
        LOG_EVENT(log, level, message, LOG_BYTES("problem", line, length));
        line += length + 1;
    }
}

static void log_warnings(struct log *log, const struct settings *settings)
{
    struct buffer warnings = { 0 };
    settings_append_warnings(settings, &warnings);
    log_lines(log, LOG_LEVEL_WARN, "a secret is no secret", &warnings);
    buffer_free(&warnings);
}

static void reload(struct serve *serve)
{
    struct settings_problems problems = { 0 };
    struct settings *fresh = load_settings(serve, &problems);
    if (fresh) {
        struct buffer changed = { 0 }, needs_restart = { 0 };
        gateway_hold(serve->gateway);
        settings_reload(serve->settings, fresh, &changed, &needs_restart);
        gateway_apply_settings(serve->gateway);
        LOG_INFO(
            serve->log, "settings reloaded",
            LOG_BYTES("changed", changed.size ? changed.data : "nothing", changed.size ? changed.size : 7));
        if (needs_restart.size)
            LOG_WARN(serve->log, "some settings have changed that need a restart",
                     LOG_BYTES("settings", needs_restart.data, needs_restart.size));
        log_warnings(serve->log, fresh);
        buffer_free(&changed);
        buffer_free(&needs_restart);
        settings_destroy(fresh);
    } else {
        log_lines(serve->log, LOG_LEVEL_ERROR, "settings not reloaded", &problems.text);
    }
    buffer_free(&problems.text);
}

/* ---- signals ---- */

static void on_drained(void *context)
{
    struct serve *serve = context;
    /* It ends behind what is due now; that takes memory. */
    if (event_base_loopexit(serve->base, NULL) != 0)
        event_base_loopbreak(serve->base);
}

static void on_stop_signal(evutil_socket_t signal_number, short events, void *context)
{
    (void)events;
    struct serve *serve = context;
    if (serve->is_stopping) {
        LOG_WARN(serve->log, "stopping at once");
        serve->exit_code = EXIT_CODE_FAILED;
        event_base_loopbreak(serve->base);
        return;
    }
    serve->is_stopping = true;
    LOG_INFO(serve->log, "stopping: clients are let go", LOG_TEXT("signal", sigabbrev_np(signal_number)),
             LOG_NUMBER("within_ms", serve->settings->drain_timeout_ms));
    if (!gateway_drain(serve->gateway, on_drained, serve))
        on_drained(serve);
}

static void on_reload_signal(evutil_socket_t signal_number, short events, void *context)
{
    (void)signal_number;
    (void)events;
    reload(context);
}

static bool watch_signals(struct serve *serve)
{
    serve->signals[SIGNAL_TERMINATE] = evsignal_new(serve->base, SIGTERM, on_stop_signal, serve);
    serve->signals[SIGNAL_INTERRUPT] = evsignal_new(serve->base, SIGINT, on_stop_signal, serve);
    serve->signals[SIGNAL_RELOAD] = evsignal_new(serve->base, SIGHUP, on_reload_signal, serve);
    for (int i = 0; i < SIGNALS; i++)
        if (!serve->signals[i] || event_add(serve->signals[i], NULL) != 0)
            return false;
    return true;
}

/* ---- running ---- */

/* Each client is a descriptor, and the soft limit is usually 1,024. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* False with *ret_problem, which is NULL when memory is short. */
static bool start(struct serve *serve, char **ret_problem)
{
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    serve->log = log_create(STDERR_FILENO, serve->settings->log_level, serve->settings->log_format);
    serve->base = event_loop_create();
    if (!serve->log || !serve->base || !watch_signals(serve))
        return false;
    log_warnings(serve->log, serve->settings);
    serve->gateway = gateway_create(serve->base, serve->settings, serve->version, serve->log, ret_problem);
    if (!serve->gateway)
        return false;
    if (serve->is_dev)
        serve->demo = dev_demo_create(serve->base, gateway_commands(serve->gateway));
    return !serve->is_dev || serve->demo;
}

static void log_ready(const struct serve *serve)
{
    char *url = gateway_url(serve->gateway);
    struct rlimit limit = { 0 };
    getrlimit(RLIMIT_NOFILE, &limit);
    const char *admin = serve->settings->admin_listen;
    LOG_INFO(serve->log, "ready", LOG_TEXT("url", url), LOG_TEXT("admin", *admin ? admin : NULL),
             LOG_TEXT("version", serve->version), LOG_NUMBER("pid", getpid()),
             LOG_NUMBER("descriptors_max", limit.rlim_cur));
    if (serve->is_dev)
        LOG_INFO(serve->log, "a private redis-server and demo batches run; open the page to watch them",
                 LOG_TEXT("url", url), LOG_TEXT("redis", dev_redis_url(serve->dev_redis)));
    free(url);
}

static void run(struct serve *serve)
{
    char *problem = NULL;
    if (start(serve, &problem)) {
        log_ready(serve);
        event_base_dispatch(serve->base);
        LOG_INFO(serve->log, "stopped");
    } else {
        fprintf(stderr, "sluice: %s\n", problem ? problem : "out of memory or descriptors");
        serve->exit_code = EXIT_CODE_FAILED;
    }
    free(problem);
}

static void clean_up(struct serve *serve)
{
    dev_demo_destroy(serve->demo);
    gateway_destroy(serve->gateway);
    for (int i = 0; i < SIGNALS; i++)
        if (serve->signals[i])
            event_free(serve->signals[i]);
    if (serve->base)
        event_base_free(serve->base);
    log_destroy(serve->log);
    dev_redis_stop(serve->dev_redis);
    settings_destroy(serve->settings);
    free(serve->flags);
    libevent_global_shutdown();
}

enum exit_code command_serve(const char *version, int argument_count, char *const *arguments,
                             char *const *environment)
{
    struct serve serve = { .version = version, .environment = environment, .exit_code = EXIT_CODE_OK };
    struct settings_problems problems = { 0 };
    char *dev_problem = NULL;
    if (!read_arguments(&serve, argument_count, arguments)) {
        serve.exit_code = EXIT_CODE_USAGE;
    } else if (serve.is_dev && !serve.is_check && !(serve.dev_redis = dev_redis_start(&dev_problem))) {
        fprintf(stderr, "sluice: %s\n", dev_problem ? dev_problem : "out of memory");
        serve.exit_code = EXIT_CODE_FAILED;
    } else if (!(serve.settings = load_settings(&serve, &problems))) {
        print_problems(&problems);
        serve.exit_code = EXIT_CODE_USAGE;
    } else if (serve.is_check) {
        serve.exit_code = check(&serve);
    } else {
        run(&serve);
    }
    free(dev_problem);
    buffer_free(&problems.text);
    clean_up(&serve);
    return serve.exit_code;
}
