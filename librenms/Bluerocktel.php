<?php

/**
 * BlueRockTEL tickets for LibreNMS alerts, through the program brtel-notify.
 *
 * Belongs to LibreNMS/Alert/Transport/Bluerocktel.php (the name has exactly one capital). Then a
 * transport of the type BlueRockTEL can be added under Alerts > Alert Transports. The user that
 * LibreNMS runs as must be able to write brtel-notify's state folder.
 *
 * For PHP 8.1 and later, and LibreNMS with `deliverAlert(array $alert_data): bool`.
 *
 * @license MIT
 */

declare(strict_types=1);

namespace LibreNMS\Alert\Transport;

use LibreNMS\Alert\Transport;
use LibreNMS\Exceptions\AlertTransportDeliveryException;

class Bluerocktel extends Transport
{
    protected string $name = 'BlueRockTEL';

    /** Seconds: transports run one after another, so a slow one holds up every alert behind it. */
    protected const TIME_LIMIT = 25;

    private const COMMAND = '/usr/bin/brtel-notify';

    /** The codes of a shell (and of timeout(1)) for what never came to an exit code of its own. */
    private const TIMED_OUT = 124;
    private const NOT_STARTED = 127;
    private const SIGNALLED = 128;

    private const SIGKILL = 9;

    /** Bytes kept of one text of the alert, and of all its lists (faults…) together. */
    private const LONGEST_TEXT = 200_000;
    private const ROOM_FOR_LISTS = 1_000_000;

    /** Levels of lists within lists; LibreNMS has three. */
    private const DEPTH = 8;

    /** Bytes kept of what the command says, and of the one line shown of it. */
    private const LONGEST_SAYING = 16_384;
    private const LONGEST_LINE = 500;

    /** Rows of LibreNMS's database, whole: of each, only `string` is for people. */
    private const ROWS = ['faults', 'diff'];

    /** What goes by such a name can only be a secret. brtel-notify leaves it out by the same rule. */
    private const SECRET = '/COMMUNITY|PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|AUTHNAME|CRYPTO'
        . '|(PASS|CHECKCOMMAND|ARG[0-9]+)\s*$/i';

    /** The settings that travel with the alert as `vars`, by the name that brtel-notify reads. */
    private const VARS = [
        'CUSTOMER_ACCOUNT' => 'brtel-account',
        'TICKET_PRIORITY' => 'brtel-priority',
        'TICKET_TAGS' => 'brtel-tags',
    ];

    /**
     * Hand the alert to brtel-notify, which stores it before it does anything else.
     *
     * @param  array<mixed>  $alert_data
     * @return bool true: it is safe
     *
     * @throws AlertTransportDeliveryException with the exit code and the error of brtel-notify
     */
    public function deliverAlert(array $alert_data): bool
    {
        $command = $this->command();
        try {
            [$code, $error] = $this->run($command, $this->json($alert_data));
        } catch (\Throwable $fault) {
            // LibreNMS lets an \Error through: it would end the run, and the alerts behind this one.
            [$code, $error] = [self::NOT_STARTED, $this->oneLine($fault->getMessage())];
        }
        if ($code !== 0) {
            $message = $alert_data['msg'] ?? '';

            throw new AlertTransportDeliveryException(
                $alert_data,
                $code,
                $error,
                is_string($message) ? $message : '',
                ['command' => $command]
            );
        }

        return true;
    }

    /**
     * What the page of the transports shows of this one: the settings that are filled in.
     *
     * LibreNMS escapes it since September 2024 (#16444); before, it put it into its page as it is. So
     * nothing is escaped here, which would show as &lt; now, and nothing is left that could be a tag.
     */
    public function displayDetails(): string
    {
        $details = '';
        foreach (static::configTemplate()['config'] as $field) {
            $value = $this->setting($field['name']);
            if ($value !== '') {
                $details .= $field['title'] . ': ' . strtr($value, ['<' => '‹', '>' => '›']) . PHP_EOL;
            }
        }

        return $details;
    }

    /**
     * The fields of the transport's form, and Laravel's rules for them. All may stay empty.
     *
     * @return array{config: list<array<string, string>>, validation: array<string, string>}
     */
    public static function configTemplate(): array
    {
        return [
            'config' => [
                [
                    'title' => 'Command',
                    'name' => 'brtel-command',
                    'descr' => 'Path of brtel-notify; empty: ' . self::COMMAND,
                    'type' => 'text',
                ],
                [
                    'title' => 'Configuration file',
                    'name' => 'brtel-config',
                    'descr' => 'Empty: /etc/brtel-notify/config.yml',
                    'type' => 'text',
                ],
                [
                    'title' => 'State folder',
                    'name' => 'brtel-state-dir',
                    'descr' => 'Empty: /var/lib/brtel-notify',
                    'type' => 'text',
                ],
                [
                    'title' => 'Customer account',
                    'name' => 'brtel-account',
                    'descr' => 'Who gets the tickets of this transport, unless the notes of a device '
                        . 'say otherwise; empty: as the configuration says',
                    'type' => 'text',
                ],
                [
                    'title' => 'Ticket priority',
                    'name' => 'brtel-priority',
                    'descr' => 'Name or id; empty: as the configuration says',
                    'type' => 'text',
                ],
                [
                    'title' => 'Ticket tags',
                    'name' => 'brtel-tags',
                    'descr' => 'Separated by commas; empty: as the configuration says',
                    'type' => 'text',
                ],
            ],
            'validation' => [
                'brtel-command' => 'bail|nullable|string|starts_with:/|max:255',
                'brtel-config' => 'bail|nullable|string|starts_with:/|max:255',
                'brtel-state-dir' => 'bail|nullable|string|starts_with:/|max:255',
                'brtel-account' => 'nullable|string|max:100',
                'brtel-priority' => 'nullable|string|max:50',
                'brtel-tags' => 'nullable|string|max:255',
            ],
        ];
    }

    /** A setting as it was filled in; empty when it was not, or is older than the field. */
    private function setting(string $name): string
    {
        $value = $this->config[$name] ?? '';

        return is_scalar($value) ? trim((string) $value) : '';
    }

    /** @return non-empty-list<string> program and arguments; no shell ever reads them */
    private function command(): array
    {
        $command = [$this->setting('brtel-command') ?: self::COMMAND];
        foreach (['brtel-config' => '--config', 'brtel-state-dir' => '--state-dir'] as $name => $option) {
            $value = $this->setting($name);
            if ($value !== '') {
                array_push($command, $option, $value);
            }
        }
        $command[] = 'librenms';

        return $command;
    }

    /**
     * The alert as JSON, with this transport's own settings as `vars`.
     *
     * Objects (models, the template) stay behind; so does what can only be a secret, and what is too
     * long. Plain fields go first: no list of faults, however long, may take the room of the state or
     * the host's name.
     *
     * @param  array<mixed>  $alert_data
     *
     * @throws \JsonException never, as far as anybody knows
     */
    private function json(array $alert_data): string
    {
        $room = self::ROOM_FOR_LISTS;
        $rows = array_intersect_key($alert_data, array_flip(self::ROWS));
        $fields = array_filter(array_diff_key($alert_data, $rows), $this->isNoSecret(...), ARRAY_FILTER_USE_KEY);
        $plain = array_map($this->plain(...), array_filter($fields, $this->isPlain(...)));
        foreach (array_filter($rows, is_array(...)) as $name => $list) {
            $plain[$name] = $this->plainList($this->strings($list, self::DEPTH), self::DEPTH, $room);
        }
        foreach (array_filter($fields, is_array(...)) as $name => $list) {
            $plain[$name] = $this->plainList($list, self::DEPTH, $room);
        }
        $plain['vars'] = (object) array_filter(
            array_map($this->setting(...), self::VARS),
            fn (string $value) => $value !== ''
        );

        return json_encode($plain, JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR);
    }

    private function isNoSecret(int|string $name): bool
    {
        return preg_match(self::SECRET, (string) $name) === 0;
    }

    private function isPlain(mixed $value): bool
    {
        return $value === null || is_scalar($value);
    }

    private function plain(mixed $value): mixed
    {
        if (is_string($value)) {
            return substr($value, 0, self::LONGEST_TEXT);
        }

        // JSON has neither INF nor NAN.
        return is_float($value) && ! is_finite($value) ? null : $value;
    }

    /**
     * A list with nothing in it but lists, and texts by the name of `string`.
     *
     * @param  array<mixed>  $list
     * @return array<mixed>
     */
    private function strings(array $list, int $depth): array
    {
        $strings = [];
        foreach ($list as $name => $value) {
            if ($name === 'string' && is_string($value)) {
                $strings[$name] = $value;
            } elseif ($name !== 'string' && is_array($value) && $depth > 0) { // an array may hold itself
                $strings[$name] = $this->strings($value, $depth - 1);
            }
        }

        return $strings;
    }

    /**
     * A list with nothing in it but plain values and lists, as much as there is room for, and no secret.
     *
     * @param  array<mixed>  $list
     * @param  int  $room  bytes that are left for this list and all others
     * @return array<mixed>
     */
    private function plainList(array $list, int $depth, int &$room): array
    {
        $plain = [];
        foreach (array_filter($list, $this->isNoSecret(...), ARRAY_FILTER_USE_KEY) as $name => $value) {
            $room -= strlen((string) $name) + 4;
            if ($room <= 0) {
                break;
            }
            if (is_string($value)) {
                $plain[$name] = substr($value, 0, $room);
                $room -= strlen($value);
            } elseif ($this->isPlain($value)) {
                $plain[$name] = $this->plain($value);
            } elseif (is_array($value) && $depth > 0) { // an array may hold itself
                $plain[$name] = $this->plainList($value, $depth - 1, $room);
            }
        }

        return $plain;
    }

    /**
     * Start the command without a shell, give it the input, and wait for it, but not for long.
     *
     * @param  non-empty-list<string>  $command
     * @return array{int, string} its exit code, and what is wrong
     */
    private function run(array $command, string $input): array
    {
        // LibreNMS turns a warning into an exception, and its test button that exception into «ok».
        $process = @proc_open($command, [['pipe', 'r'], ['null'], ['pipe', 'w']], $pipes);
        if (! is_resource($process)) {
            return [self::NOT_STARTED, $this->cannotRun($command[0])];
        }
        [$stdin, $stderr] = [$pipes[0], $pipes[2]];
        stream_set_blocking($stdin, false);
        stream_set_blocking($stderr, false);
        $said = '';
        $deadline = hrtime(true) + (int) (static::TIME_LIMIT * 1e9);
        try {
            do {
                $status = proc_get_status($process); // first: what it said before it ended is heard
                $said = substr($said . $this->hear($stderr), -self::LONGEST_SAYING);
                if (! $status['running']) {
                    return $this->verdict($command[0], $status, $this->lastLine($said));
                }
                $input = $this->feed($stdin, $input);
                $this->wait($stdin, $stderr);
            } while (hrtime(true) < $deadline);
            $this->kill($process);
        } finally {
            // Neither is waited for: a child of the command may hold its end open for ever.
            foreach (array_filter([$stdin, $stderr], is_resource(...)) as $pipe) {
                fclose($pipe);
            }
        }

        return [self::TIMED_OUT, "$command[0] took longer than " . static::TIME_LIMIT . ' s and was stopped'];
    }

    /**
     * Everything that can be read just now.
     *
     * @param  resource  $stderr
     */
    private function hear($stderr): string
    {
        $heard = '';
        for ($reads = 0; $reads < 64; $reads++) { // one that never falls silent must not keep us here
            $piece = @fread($stderr, 8192);
            if ($piece === false || $piece === '') {
                break;
            }
            $heard = substr($heard . $piece, -self::LONGEST_SAYING);
        }

        return $heard;
    }

    /**
     * Write as much of the input as the pipe takes; returns the rest. Closes a pipe that is done with.
     *
     * @param  resource|closed-resource  $stdin
     */
    private function feed($stdin, string $input): string
    {
        if (! is_resource($stdin)) {
            return '';
        }
        $written = @fwrite($stdin, substr($input, 0, 65_536));
        $rest = $written === false ? '' : substr($input, $written); // false: it reads no more
        if ($rest === '') {
            fclose($stdin);
        }

        return $rest;
    }

    /**
     * Sleep until there is something to read or to write, or for a moment.
     *
     * @param  resource|closed-resource  $stdin
     * @param  resource  $stderr
     */
    private function wait($stdin, $stderr): void
    {
        $read = feof($stderr) ? [] : [$stderr];
        $write = is_resource($stdin) ? [$stdin] : [];
        $except = [];
        if (($read === [] && $write === []) || @stream_select($read, $write, $except, 0, 50_000) === false) {
            usleep(10_000);
        }
    }

    /**
     * End the command, and see that it is gone: no zombie stays behind.
     *
     * @param  resource  $process
     */
    private function kill($process): void
    {
        proc_terminate($process, self::SIGKILL);
        // Not proc_close(): that would wait for ever for one that the kernel cannot end yet.
        for ($looks = 0; $looks < 100 && proc_get_status($process)['running']; $looks++) {
            usleep(10_000);
        }
    }

    /**
     * @param  array{exitcode: int, signaled: bool, termsig: int, ...}  $status
     * @return array{int, string} exit code and error
     */
    private function verdict(string $program, array $status, string $error): array
    {
        if ($status['signaled']) {
            return [self::SIGNALLED + $status['termsig'], "$program was ended by signal {$status['termsig']}"];
        }
        $code = $status['exitcode'];
        if ($error === '') {
            $error = $code === self::NOT_STARTED ? $this->cannotRun($program) : "$program: exit code $code";
        }

        return [$code, $error];
    }

    private function cannotRun(string $program): string
    {
        return $this->oneLine("$program cannot be run: is it there, and may the user of LibreNMS run it?");
    }

    private function lastLine(string $said): string
    {
        $lines = explode("\n", trim($said));
        $line = $this->oneLine((string) end($lines));

        return str_starts_with($line, 'brtel-notify: ') ? substr($line, 14) : $line;
    }

    /** The text as one line for the event log: short, and good UTF-8, or the log would refuse it. */
    private function oneLine(string $text): string
    {
        $line = preg_replace('/[\x00-\x1F\x7F]+/', ' ', $text);

        return mb_strcut(mb_scrub(trim((string) $line), 'UTF-8'), 0, self::LONGEST_LINE, 'UTF-8');
    }
}
