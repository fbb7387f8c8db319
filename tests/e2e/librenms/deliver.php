<?php

/**
 * Stands for LibreNMS's alert run: `php deliver.php CLASS_FILE < ORDER` finds the transport as
 * LibreNMS does, by the name of its file, and calls it once.
 *
 * ORDER is JSON: `config` (what the form was filled in with; null: no transport at all), `data` (the
 * alert), `add` (what JSON cannot carry, by the names below), `time_limit` (seconds, instead of the
 * class's own), `begun` (a pattern of file names: the clock of the class stands still until there is
 * such a file), `show` (only say what the form would be made of). Prints JSON: `delivered`, or what was
 * thrown.
 */

declare(strict_types=1);

namespace LibreNMS\Alert\Transport {
    /**
     * What the class finds instead of PHP's own function. A command that has a second to hang in may
     * need longer than that to start, on a busy machine: its time begins when it has begun.
     */
    function hrtime(bool $as_number): int
    {
        static $begun = null;
        if ($begun === null && glob($GLOBALS['order']['begun'] ?? '/') !== []) {
            $begun = \hrtime($as_number);
        }

        return $begun === null ? 0 : \hrtime($as_number) - $begun;
    }
}

namespace {
    use App\Models\AlertTransport;
    use LibreNMS\Alert\Transport\Bluerocktel;
    use LibreNMS\Exceptions\AlertTransportDeliveryException;

    error_reporting(E_ALL);
    // LibreNMS runs under Laravel, where a warning that nobody suppressed is an exception.
    set_error_handler(function (int $level, string $text, string $file, int $line): bool {
        if (error_reporting() & $level) {
            throw new ErrorException($text, 0, $level, $file, $line);
        }

        return false;
    });
    require __DIR__ . '/stubs.php';
    require $argv[1];

    $class = 'LibreNMS\\Alert\\Transport\\' . ucfirst(strtolower(basename($argv[1], '.php')));
    if (! class_exists($class, false)) {
        exit("$argv[1] has no class $class\n");
    }

    /** @var array<string, mixed> $order */
    $order = json_decode((string) stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
    if (isset($order['time_limit'])) {
        define('TIME_LIMIT', $order['time_limit']);

        class Hurried extends Bluerocktel
        {
            protected const TIME_LIMIT = TIME_LIMIT;
        }
        $class = Hurried::class;
    }
    $transport = new $class(isset($order['config']) ? new AlertTransport($order['config']) : null);
    if (isset($order['show'])) {
        echo json_encode([
            'name' => $transport->name(),
            'template' => $class::configTemplate(),
            'details' => $transport->displayDetails(),
            'page' => nl2br(htmlentities($transport->displayDetails())),
        ]);
        exit;
    }
    $data = $order['data'];
    foreach ($order['add'] ?? [] as $what) {
        switch ($what) {
            case 'objects':
                $data['alert'] = new ArrayObject($data);
                $data['template'] = (object) ['template' => 'SECRET-OBJECT'];
                $data['applications_metrics'] = ['linux' => [['model' => (object) ['a' => 'SECRET-OBJECT']]]];
                $data['faults'][1]['object'] = new DateTimeImmutable();
                break;
            case 'bad utf-8':
                $data['msg'] .= "caf\xE9 \xC3\xA9 \xF0\x9F";
                $data["bad\xFFname"] = "\xFF";
                $data['faults'][1]["\xE9"] = "\xE9";
                break;
            case 'numbers':
                $data['ping_avg'] = NAN;
                $data['ping_max'] = INF;
                $data['faults'][1]['sensor_current'] = -INF;
                break;
            case 'recursion':
                $data['diff'] = ['a' => 1];
                $data['diff']['itself'] = &$data['diff'];
                $data['diff']['again'] = &$data['diff'];
                break;
            case 'resources':
                $data['handle'] = STDIN;
                $data['faults'][1]['handle'] = STDIN;
                break;
            case 'huge':
                $row = array_fill_keys(array_map(fn ($n) => "column_$n", range(1, 80)), str_repeat('x', 50));
                $faults = array_fill(1, 20_000, $row);
                $faults[1]['string'] = 'first fault';
                $data = ['faults' => $faults, 'sysDescr' => str_repeat("\u{e9}", 5_000_000)] + $data;
                break;
            default:
                exit("unknown: $what\n");
        }
    }
    try {
        $answer = ['delivered' => $transport->deliverAlert($data)];
    } catch (AlertTransportDeliveryException $error) {
        $answer = [
            'code' => $error->getCode(),
            'response' => $error->response,
            'template' => $error->template,
            'message' => $error->getMessage(),
        ];
    }
    // As LibreNMS looks for children that were left behind: there must be none.
    $answer['zombies'] = function_exists('pcntl_waitpid') && pcntl_waitpid(-1, $status, WNOHANG) !== -1;
    echo json_encode($answer, JSON_THROW_ON_ERROR);
}
