<?php

/**
 * Plays the parts of LibreNMS 26 that touch a transport: `php librenms26.php FOLDER STORE < ORDER`.
 *
 * FOLDER is LibreNMS/Alert/Transport, STORE a JSON file in the place of the table alert_transports.
 * ORDER is JSON; `do` says what happens, as one request of a browser, or one run of the alerts:
 *
 *     list                        the types that the form offers
 *     form    type                the fields that it draws for one
 *     save    id name type fields what is filled in: Laravel's own validation, then the table
 *     page                        the table of transports, as HTML
 *     test    id device           the button Test transport
 *     run     alerts ids          alerts, each handed to the transports of its operation
 *
 * Prints JSON: `answer`, and `log`, the lines of the event log. Facts from librenms/librenms of 2026:
 * includes/html/modal/edit_alert_transport.inc.php, includes/html/forms/alert-transports.inc.php,
 * includes/html/print-alert-transports.php, AlertTransportController, RunAlerts and AlertData.
 */

declare(strict_types=1);

namespace {
    use App\Models\AlertTransport;
    use LibreNMS\Alert\Transport;
    use LibreNMS\Exceptions\AlertTransportDeliveryException;

    const MOST_ALIKE = [0 => 'recovery', 1 => 'alert', 2 => 'acknowledgment', 3 => 'worsened', 4 => 'improved'];

    [, $folder, $store] = $argv;
    $log = [];
    // Laravel makes an exception of every warning, and only writes down what is deprecated.
    set_error_handler(function (int $level, string $text, string $file, int $line) use (&$log, $folder): bool {
        if ($level & (E_DEPRECATED | E_USER_DEPRECATED)) {
            if (str_starts_with($file, $folder)) {
                $log[] = "deprecated: $text in $file:$line";
            }

            return true;
        }
        if (error_reporting() & $level) {
            throw new ErrorException($text, 0, $level, $file, $line);
        }

        return false;
    });
    require __DIR__ . '/stubs.php';
    spl_autoload_register(function (string $class) use ($folder): void {
        $file = $folder . '/' . basename(str_replace('\\', '/', $class)) . '.php';
        if (str_starts_with($class, 'LibreNMS\\Alert\\Transport\\') && is_file($file)) {
            require $file;
        }
    });

    /** What the alert's models and collections are to a transport: objects with everything in them. */
    class Model
    {
        /** @param  array<mixed>  $attributes */
        public function __construct(public array $attributes)
        {
        }
    }

    /** @return array<array<string, mixed>> */
    function rows(): array
    {
        global $store;

        return is_file($store) ? json_decode((string) file_get_contents($store), true, 64, JSON_THROW_ON_ERROR) : [];
    }

    function model(string $id): AlertTransport
    {
        $row = rows()[$id];

        return new AlertTransport(json_decode($row['transport_config'], true), $row['transport_type']);
    }

    /**
     * @param  array<string, mixed>  $order
     * @return array<string, mixed>
     */
    function save(array $order): array
    {
        global $store;
        foreach (['Container', 'Translation', 'Validation'] as $part) {
            require_once "Illuminate/$part/autoload.php";
        }
        $template = Transport::getClass($order['type'])::configTemplate();
        $texts = new Illuminate\Translation\Translator(new Illuminate\Translation\ArrayLoader(), 'en');
        $factory = new Illuminate\Validation\Factory($texts, new Illuminate\Container\Container());
        $validator = $factory->make($order['fields'], $template['validation']);
        if ($validator->fails()) {
            return ['status' => 'error', 'refused' => $validator->errors()->toArray()];
        }
        $rows = rows();
        $config = json_decode($rows[$order['id']]['transport_config'] ?? '{}', true);
        foreach ($template['config'] as $field) {
            if ($field['type'] !== 'hidden') {
                $config[$field['name']] = $order['fields'][$field['name']];
            }
        }
        $rows[$order['id']] = [
            'transport_name' => $order['name'],
            'transport_type' => $order['type'],
            'transport_config' => json_encode($config),
        ];
        file_put_contents($store, json_encode($rows));

        return ['status' => 'ok'];
    }

    function page(): string
    {
        $page = '';
        foreach (rows() as $id => $row) {
            $instance = model((string) $id)->instance();
            $page .= '<td>' . htmlentities($row['transport_name']) . '</td>';
            $page .= '<td>' . htmlentities($instance->name()) . '</td>';
            $page .= '<td><i>' . nl2br(htmlentities($instance->displayDetails())) . "</i></td>\n";
        }

        return $page;
    }

    /**
     * @param  array<string, mixed>  $order
     * @return array<string, string>
     */
    function press(array $order): array
    {
        $data = array_fill_keys(['template', 'diff', 'transport', 'transport_name', 'alert', 'applications'], null);
        $data = [
            ...$data,
            ...$order['device'],
            ...array_fill_keys(['rule_id', 'id', 'uid', 'alert_id'], '000'),
            'alert_notes' => 'a note of a test',
            'title' => 'Testing transport from LibreNMS',
            'faults' => [],
            'builder' => '{}',
            'severity' => 'critical',
            'rule' => 'macros.device = 1',
            'name' => 'Test-Rule',
            'timestamp' => date('Y-m-d H:i:s'),
            'contacts' => ['noc@example.net' => 'NOC'],
            'state' => 1,
            'alerted' => 0,
            'escalation_step' => 1,
            'msg' => 'This is a test alert',
        ];
        try {
            if (model($order['id'])->instance()->deliverAlert($data) === true) {
                return ['status' => 'ok'];
            }
            $message = 'false';
        } catch (AlertTransportDeliveryException $error) {
            $message = $error->getMessage();
        } catch (ErrorException $error) { // a warning is no failure to this button
            return ['status' => 'ok', 'message' => $error->getMessage()];
        }

        return ['status' => 'error', 'message' => strip_tags($message)];
    }

    /**
     * One alert, to one transport after the other, whatever becomes of those before.
     *
     * @param  array<string, mixed>  $data
     * @param  list<string>  $ids
     */
    function issue(array $data, array $ids): void
    {
        global $log;
        $data['template'] = new Model(['template' => 'SECRET-OBJECT']);
        $data['applications'] = new Model(['proxmox' => new Model(['data' => 'SECRET-OBJECT'])]);
        foreach ($ids as $id) {
            $data['transport'] = rows()[$id]['transport_type'];
            $data['transport_name'] = rows()[$id]['transport_name'];
            $data['alert'] = new Model($data);
            $what = (MOST_ALIKE[$data['state']] ?? 'changed') . " for rule '{$data['name']}' to transport";
            try {
                $class = Transport::getClass($data['transport']);
                $result = (new $class(model($id)))->deliverAlert($data);
                $log[] = ($result ? 'Issued ' : 'Could not issue ') . "$what '{$data['transport']}'";
            } catch (AlertTransportDeliveryException $error) {
                $log[] = $error->getTraceAsString() . PHP_EOL . $error->getMessage();
                $log[] = "Could not issue $what '{$data['transport']}' Error: {$error->getMessage()}";
            } catch (Exception $error) {
                $log[] = "Could not issue $what '{$data['transport']}' Error: $error";
            }
        }
    }

    /** @var array<string, mixed> $order */
    $order = json_decode((string) stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
    $answer = null;
    switch ($order['do']) {
        case 'list':
            foreach ((array) glob("$folder/*.php") as $file) {
                $type = strtolower(basename((string) $file, '.php'));
                $answer[$type] = (new (Transport::getClass($type))())->name();
            }
            break;
        case 'form':
            $answer = Transport::getClass($order['type'])::configTemplate();
            break;
        case 'save':
            $answer = save($order);
            break;
        case 'page':
            $answer = page();
            break;
        case 'test':
            $answer = press($order);
            break;
        case 'run':
            foreach ($order['alerts'] as $data) {
                issue($data, $order['ids']);
            }
            break;
    }
    echo json_encode(['answer' => $answer, 'log' => $log], JSON_THROW_ON_ERROR);
}
