#include "command/help.h"

#include <stdio.h>

#include "gateway/settings.h"

static const char text[] =
    "sluice carries what happens in Redis to browsers, as Server-Sent Events.\n"
    "\n"
    "Try it, in three terminals (--dev brings a private Redis and demo batches):\n"
    "  sluice serve --dev\n"
    "  curl -N 'http://127.0.0.1:8000/events/stream?channel=news'\n"
    "  curl http://127.0.0.1:8000/events/publish -d channel=news -d 'payload={\"hello\":\"world\"}'\n"
    "\n"
    "In a browser:\n"
    "  const news = new EventSource('/events/stream?channel=news');\n"
    "  news.onmessage = (event) => console.log(JSON.parse(event.data));\n"
    "  const batch = new EventSource('/batches/42/stream');     // Redis channel batch:42\n"
    "  batch.addEventListener('progress', (event) => show(JSON.parse(event.data)));\n"
    "  batch.addEventListener('complete', () => batch.close());\n"
    "\n"
    "Commands:\n"
    "  sluice [serve] [flags]         serve; the web page is at /, figures at /metrics\n"
    "      --config FILE              settings from a YAML file (or SLUICE_CONFIG=FILE)\n"
    "      --check                    say what is wrong with the settings, or what would run\n"
    "      --dev                      with a private redis-server, whatever redis_url says, and a demo\n"
    "  sluice publish CHANNEL PAYLOAD publish through a running gateway; PAYLOAD - is standard input, and "
    "what is\n"
    "                                 not JSON is sent as a JSON string\n"
    "      --id KEY                   publish once, however often this is repeated\n"
    "      --event NAME [--critical]  a bus event instead of a channel\n"
    "      --stream NAME              a Redis Stream instead of, or besides, a channel\n"
    "  sluice tail CHANNEL…           print what is published, and reconnect without a gap\n"
    "      --pattern GLOB             channels by pattern, as often as wanted\n"
    "      --stream NAME              Redis Streams, as often as wanted\n"
    "      --since FROM               of streams: 0, an id, a time, or the last so many entries\n"
    "      --batch ID                 one batch until it is complete\n"
    "      --format FORMAT            raw, envelope or named\n"
    "      -n COUNT                   end after so many events\n"
    "      --url URL                  for publish and tail: the gateway, http://127.0.0.1:8000 unless said\n"
    "      --token-file FILE          for publish and tail: with a token or a key that is known there\n"
    "  sluice streams status [STREAM…] length, groups, pending entries and lag of those in the settings\n"
    "      --json                     the same for programs\n"
    "  sluice streams setup           make the streams and groups that `streams` in the settings names\n"
    "      --start 0|$                new groups begin with the first entry (0) or with what comes\n"
    "  sluice streams trim STREAM     --maxlen N keeps the last N entries, --minid ID those from this id on\n"
    "  sluice streams dead [STREAM…]  list the entries that nobody could handle (--count N, --json)\n"
    "  sluice streams dead replay STREAM [ID…]   add them to the stream again, for all its groups\n"
    "  sluice streams dead drop STREAM [ID…]     delete them\n"
    "      --redis-url URL, …         for streams: Redis itself is asked, with the settings as for serve\n"
    "  sluice key new                 make a key for a machine: print it once, and its line for keys_file\n"
    "      --publish, --subscribe, --consume PATTERN, --admin   what it may, as often as wanted\n"
    "      --name NAME, --expires TIME|DURATION\n"
    "  sluice --version, sluice --help\n"
    "\n"
    "Exit codes: 0 done, 1 it could not be done, 2 arguments or settings are wrong.\n"
    "Signals: TERM and INT stop gracefully, a second one at once; HUP reloads the settings.\n"
    "\n"
    "Settings, with default and bounds. --retry-min 2s is SLUICE_RETRY_MIN=2s in the environment and "
    "`retry_min: 2s` in\n"
    "the file; flags win over environment over file. REDIS_URL and PORT work as well. "
    "SLUICE_REDIS_URL_FILE=PATH reads a\n"
    "text from a file, for secrets.\n"
    "\n";

enum exit_code command_help(void)
{
    struct buffer settings = { 0 };
    settings_append_help(&settings);
    fputs(text, stdout);
    fwrite(settings.data, 1, settings.size, stdout);
    buffer_free(&settings);
    return fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}
