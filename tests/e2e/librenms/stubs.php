<?php

/**
 * The little of LibreNMS that a transport touches, with LibreNMS's own signatures: what the tests
 * load the shipped class over, and what PHPStan knows of LibreNMS.
 *
 * Facts from librenms/librenms: LibreNMS/Interfaces/Alert/Transport.php, LibreNMS/Alert/Transport.php,
 * LibreNMS/Exceptions/AlertTransportDeliveryException.php, app/Models/AlertTransport.php.
 */

declare(strict_types=1);

namespace App\Models {
    use LibreNMS\Alert\Transport;

    /** A row of the table of transports; its configuration is JSON there. */
    class AlertTransport
    {
        /** @param  array<string, mixed>|null  $transport_config */
        public function __construct(public ?array $transport_config = null, public string $transport_type = '')
        {
        }

        public function instance(): Transport
        {
            $class = Transport::getClass($this->transport_type);

            return new $class($this);
        }
    }
}

namespace LibreNMS\Interfaces\Alert {
    interface Transport
    {
        public function name(): string;

        /** @param  array<mixed>  $alert_data */
        public function deliverAlert(array $alert_data): bool;

        /** @return array<mixed> */
        public static function configTemplate(): array;

        public function displayDetails(): string;
    }
}

namespace LibreNMS\Exceptions {
    class AlertTransportDeliveryException extends \Exception
    {
        /**
         * @param  array<mixed>  $data
         * @param  array<mixed>  $params
         */
        public function __construct(
            array $data,
            int $code = 0,
            public readonly string $response = '',
            public readonly string $template = '',
            public readonly array $params = []
        ) {
            $name = $data['transport_name'] ?? '';
            $name = is_string($name) ? $name : '';
            parent::__construct("Transport delivery failed with $code for $name: $response", $code);
        }
    }
}

namespace LibreNMS\Alert {
    use App\Models\AlertTransport;

    abstract class Transport implements \LibreNMS\Interfaces\Alert\Transport
    {
        /** @var array<string, mixed>|null */
        protected ?array $config;
        protected string $name = '';

        public function __construct(?AlertTransport $transport = null)
        {
            $this->config = $transport ? $transport->transport_config : [];
        }

        public static function getClass(string $type): string
        {
            return 'LibreNMS\\Alert\\Transport\\' . ucfirst($type);
        }

        public function name(): string
        {
            return $this->name;
        }

        public function displayDetails(): string
        {
            return '';
        }
    }
}
