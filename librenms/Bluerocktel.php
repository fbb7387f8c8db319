<?php

/**
 * BlueRockTEL tickets for LibreNMS alerts, through brtel-notify.
 *
 * Copy this file to LibreNMS/Alert/Transport/Bluerocktel.php, then add a transport of the type
 * BlueRockTEL under Alerts > Alert Transports. The user librenms must be able to write the state
 * folder /var/lib/brtel-notify.
 */

declare(strict_types=1);

namespace LibreNMS\Alert\Transport;

use LibreNMS\Alert\Transport;
use LibreNMS\Exceptions\AlertTransportDeliveryException;

class Bluerocktel extends Transport
{
    protected string $name = 'BlueRockTEL';

    /** Transports run one after another: none may hold up the next for longer (seconds). */
    private const TIME_LIMIT = 25;

    public function deliverAlert(array $alert_data): bool
    {
        [$code, $said] = $this->run($this->command(), $this->json($alert_data));
        if ($code !== 0) {
            throw new AlertTransportDeliveryException($alert_data, $code, $said, $said, []);
        }

        return true;
    }

    /** @return list<string> */
    private function command(): array
    {
        $command = [$this->config['command'] ?: '/usr/bin/brtel-notify'];
        foreach (['config' => '--config', 'state-dir' => '--state-dir'] as $name => $option) {
            if (! empty($this->config[$name])) {
                array_push($command, $option, $this->config[$name]);
            }
        }
        $command[] = 'librenms';

        return $command;
    }

    /** The alert as JSON; its two objects are the web application's, not the alert's. */
    private function json(array $alert_data): string
    {
        $data = array_filter($alert_data, fn ($value) => ! is_object($value));

        return (string) json_encode($data, JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);
    }

    /**
     * Start the command without a shell and give it the input.
     *
     * @param  list<string>  $command
     * @return array{int, string} its exit code, and its last line
     */
    private function run(array $command, string $input): array
    {
        $files = [tmpfile(), tmpfile()];
        fwrite($files[0], $input);
        rewind($files[0]);
        $process = @proc_open($command, [$files[0], ['file', '/dev/null', 'w'], $files[1]], $pipes);
        if (! is_resource($process)) {
            return [127, "$command[0] could not be started"];
        }
        $deadline = microtime(true) + self::TIME_LIMIT;
        while (($status = proc_get_status($process))['running']) {
            if (microtime(true) > $deadline) {
                proc_terminate($process, 9);

                return [124, "$command[0] took longer than " . self::TIME_LIMIT . ' s'];
            }
            usleep(20000);
        }
        rewind($files[1]);
        $lines = explode("\n", trim((string) stream_get_contents($files[1])));

        return [$status['exitcode'], end($lines) ?: "exit code {$status['exitcode']}"];
    }

    public static function configTemplate(): array
    {
        return [
            'config' => [
                [
                    'title' => 'Command',
                    'name' => 'command',
                    'descr' => 'Path of brtel-notify',
                    'type' => 'text',
                    'default' => '/usr/bin/brtel-notify',
                ],
                [
                    'title' => 'Configuration file',
                    'name' => 'config',
                    'descr' => 'Empty: /etc/brtel-notify/config.yml',
                    'type' => 'text',
                ],
                [
                    'title' => 'State folder',
                    'name' => 'state-dir',
                    'descr' => 'Empty: /var/lib/brtel-notify',
                    'type' => 'text',
                ],
            ],
            'validation' => [
                'command' => 'required|string',
                'config' => 'nullable|string',
                'state-dir' => 'nullable|string',
            ],
        ];
    }
}
